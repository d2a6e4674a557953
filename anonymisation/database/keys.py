"""The key that encrypts stored passwords: from ORACLE_KEY, or from the keyring of the operating system."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.fernet import Fernet

from anonymisation.core.errors import ConfigProblem, ConfigurationError

KEY_VARIABLE: Final = "ORACLE_KEY"
KEYRING: Final = "the keyring of the operating system"

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{43}=")  # 32 bytes
_KEYRING_SERVICE: Final = "image-anonymisation"
_KEYRING_ENTRY: Final = "stored connections"
_HOW_TO_MAKE_ONE: Final = (
    f"make one with `anonymise db make-key`, keep it where secrets are kept, and give it in the environment variable "
    f"{KEY_VARIABLE}"
)


@dataclass(frozen=True, slots=True)
class Key:
    """A Fernet key (32 bytes, URL-safe base64), and its source.

    Raises:
        ConfigurationError: the text is not a Fernet key.
    """

    text: str = field(repr=False)
    source: str

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.text):  # stricter than the decoder, which ignores characters outside base64
            raise _refused(f"the value is not a Fernet key; {_HOW_TO_MAKE_ONE}", self.source)

    @property
    def fingerprint(self) -> str:
        """Identifies the key without revealing it: 12 hexadecimal digits of the SHA-256 of 256 random bits."""
        return hashlib.sha256(self.text.encode("ascii")).hexdigest()[:12]

    def fernet(self) -> Fernet:
        """The cipher with this key (AES-128-CBC and HMAC-SHA-256)."""
        return Fernet(self.text)


def make_key() -> str:
    """A new random key."""
    return Fernet.generate_key().decode("ascii")


def find_key(environment: Mapping[str, str] | None = None) -> Key:
    """The key of the environment variable ORACLE_KEY, else that of the keyring.

    Raises:
        ConfigurationError: there is no key, or its text is not a key.
    """
    key = _environment_key(environment) or _keyring_key()
    if key is None:
        raise _refused(f"there is no key: {KEY_VARIABLE} is not set and {KEYRING} has none; {_HOW_TO_MAKE_ONE}")
    return key


def find_or_make_key(environment: Mapping[str, str] | None = None) -> Key:
    """The key of `find_key`; if there is none, a new key, which the keyring then stores.

    Raises:
        ConfigurationError: there is no key, and no keyring to store one.
    """
    key = _environment_key(environment) or _keyring_key()
    if key is not None:
        return key
    import keyring
    from keyring.errors import KeyringError

    made = Key(make_key(), KEYRING)
    try:
        keyring.set_password(_KEYRING_SERVICE, _KEYRING_ENTRY, made.text)
    except KeyringError:
        raise _refused(
            f"there is no key: {KEY_VARIABLE} is not set, and this machine has no keyring to keep one in; "
            f"{_HOW_TO_MAKE_ONE}"
        ) from None
    return made


def _environment_key(environment: Mapping[str, str] | None) -> Key | None:
    text = (os.environ if environment is None else environment).get(KEY_VARIABLE)
    return Key(text.strip(), KEY_VARIABLE) if text else None


def _keyring_key() -> Key | None:
    import keyring  # imported late, because it looks for the desktop's services
    from keyring.errors import KeyringError

    try:
        text = keyring.get_password(_KEYRING_SERVICE, _KEYRING_ENTRY)
    except KeyringError:  # no keyring on this machine, or it stays locked
        return None
    return Key(text, KEYRING) if text else None


def _refused(message: str, source: str = "stored connections") -> ConfigurationError:
    return ConfigurationError([ConfigProblem(source, "key", message)])
