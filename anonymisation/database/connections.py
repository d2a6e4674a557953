"""Stored connections: how to reach a database, one JSON file each, with the password encrypted in it.

The encrypted part repeats all other fields next to the password. So a person who can change the file can neither read
the password nor redirect it to another host.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from cryptography.fernet import InvalidToken
from platformdirs import user_config_path
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from anonymisation.core.errors import ConfigProblem, ConfigurationError
from anonymisation.core.text import HIDDEN, did_you_mean
from anonymisation.database.keys import Key, find_key
from anonymisation.files.atomic import write_atomically
from anonymisation.files.folders import make_folders

FOLDER_VARIABLE: Final = "ANONYMISATION_CONNECTIONS_DIR"
PASSWORD_VARIABLE: Final = "ANONYMISATION_DB_PASSWORD"  # noqa: S105 - its name, not the password

WALLET_PASSWORD: Final = "wallet_password"  # noqa: S105 - the option's name
WALLET_PASSWORD_VARIABLE: Final = "ANONYMISATION_WALLET_PASSWORD"  # noqa: S105 - its name

_FORMAT: Final = 1
_MODE: Final = 0o600  # the owner's alone
_FOLDER_MODE: Final = 0o700
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
# Oracle's Easy Connect in its plain form; every other form of DSN (several hosts, tcps) goes to the driver unchanged.
# https://docs.oracle.com/en/database/oracle/oracle-database/23/netag/configuring-naming-methods.html
_EASY_CONNECT: Final = re.compile(
    r"(?://)?(?P<host>[^\s:/?#()@,;]+)(?::(?P<port>[0-9]{1,5}))?/(?P<service>[^\s:/?#()@]+)"
)
# Names of options whose values are secrets, of libpq, of Oracle's driver and of others.
_SENSITIVE_NAME: Final = r"[a-z_]*(?:passw(?:or)?d|passphrase|pwd|secret|token)|scram_(?:client|server)_key"
_SECRET_KEY: Final = re.compile(_SENSITIVE_NAME, re.IGNORECASE)
_SECRET_OPTION: Final = re.compile(rf"(?<![a-z_])(?:{_SENSITIVE_NAME})\s*=\s*[^\s)&]", re.IGNORECASE)
# Easy Connect Plus with options behind a question mark; each has a name.
_WITH_OPTIONS: Final = re.compile(r"[^?@]*\?[a-z_]+=[^&]*(?:&[a-z_]+=[^&]*)*", re.IGNORECASE)
_LOGIN_IN_OPTION: Final = re.compile(r"\?.*//[^/\s@]+:[^/\s@]+@")  # such as that of a proxy
_AS_ROLE: Final = re.compile(r"\s*[^/\s]+/\S+\s+as\s+sys[a-z]+\s*", re.IGNORECASE)  # user/password as sysdba
_USER_AND_PASSWORD: Final = re.compile(r"[^/:]+[/:]+[^/:]")
_NO_SECRETS: Final = (
    "holds a password; leave it out, with the user's name: the command takes the name with --user, asks for the "
    "passwords and stores them encrypted. In Airflow's Connection they have fields of their own (login, password, and "
    "wallet_password among the extras). If this was a real password, change it"
)
_KINDS: Final = ("oracle", "postgresql", "sqlite")
_ORACLE_PROTOCOLS: Final = ("tcp", "tcps")
_MAKE_AGAIN: Final = "make it again with `anonymise db configure`"


@dataclass(frozen=True, slots=True)
class StoredConnection:
    """The address of a database without the password; `table` names the layout. Without `user` there is no password.

    `options` are further options of the address, such as Oracle's wallet_location; none of them is a secret.

    Raises:
        ConfigurationError: the name is no valid file name, or `dsn` cannot be used or holds a password.
    """

    name: str
    dsn: str
    user: str | None
    schema: str | None
    table: str
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise _refused(self.name, f"expected letters, digits, and _ . - between them, got {self.name!r}")
        if any(is_secret(key) for key in self.options):
            raise _refused(self.name, "an option holds a password")
        url = self.url()
        if url.get_backend_name() == "oracle" and not self.user:
            raise _refused(self.name, "an Oracle database needs a user")

    def url(self, password: str | None = None) -> URL:
        """The SQLAlchemy URL, with the password where one is given."""
        return connection_url(self.dsn, self.user, password).update_query_dict(self.options)


def connection_url(dsn: str, user: str | None, password: str | None = None) -> URL:
    """The URL of a DSN: Oracle's Easy Connect (host:port/service), TNS alias or descriptor, or an SQLAlchemy URL.

    Raises:
        ConfigurationError: the DSN is none of these, or holds a password. The message does not quote the DSN.
    """
    protocol = dsn.partition("://")[0] if "://" in dsn else ""
    if protocol and protocol.lower() not in _ORACLE_PROTOCOLS:
        try:
            url = make_url(dsn)
        except (ArgumentError, ValueError):
            raise _refused("dsn", "is no SQLAlchemy URL and no DSN of Oracle") from None
        if url.get_backend_name() not in _KINDS:
            raise _refused("dsn", f"expected a database of kind {', '.join(_KINDS)}")
        if url.password is not None or holds_secret(dsn) or any(map(is_secret, url.query)):
            raise _refused("dsn", _NO_SECRETS)
        return url.set(username=user, password=password)
    if not dsn.strip():
        raise _refused("dsn", "is empty, expected host:port/service or an SQLAlchemy URL")
    if holds_secret(dsn):
        raise _refused("dsn", _NO_SECRETS)
    if "@" in dsn and not _may_hold_at(dsn):
        raise _refused("dsn", "names a user; leave the user and the @ out, and give the user with --user")
    match = _EASY_CONNECT.fullmatch(dsn)
    if match is None:
        return URL.create("oracle+oracledb", user, password, host=dsn)
    port = None if match["port"] is None else int(match["port"])
    return URL.create(
        "oracle+oracledb", user, password, host=match["host"], port=port, query={"service_name": match["service"]}
    )


def is_secret(key: str) -> bool:
    """Whether the value of an option with this name is a secret, such as wallet_password, sslpassword or a token."""
    return _SECRET_KEY.fullmatch(key.strip()) is not None


def holds_secret(dsn: str) -> bool:
    """Whether a DSN of any form has a password in it: user/password@…, or an option such as wallet_password=…"""
    if _SECRET_OPTION.search(dsn) or _LOGIN_IN_OPTION.search(dsn) or _AS_ROLE.fullmatch(dsn):
        return True
    before, at, _ = dsn.rpartition("@")
    return bool(at) and not _may_hold_at(dsn) and bool(_USER_AND_PASSWORD.search(before.partition("://")[2] or before))


def _may_hold_at(dsn: str) -> bool:
    """Whether an @ is part of a descriptor, or of an option such as the name of a certificate."""
    return dsn.lstrip().startswith("(") or _WITH_OPTIONS.fullmatch(dsn) is not None


def secrets_of(url: URL) -> tuple[str, ...]:
    """The secrets in an address: its password, and those among its options."""
    values = [value for key, value in url.query.items() if is_secret(key)]
    given = [url.password, *(part for value in values for part in ([value] if isinstance(value, str) else value))]
    return tuple(secret for secret in given if secret)


def with_wallet_password(url: URL) -> URL:
    """An Oracle address with the wallet's password of ANONYMISATION_WALLET_PASSWORD, unless it has one; else `url`."""
    given = os.environ.get(WALLET_PASSWORD_VARIABLE)
    if not given or url.get_backend_name() != "oracle" or WALLET_PASSWORD in url.query:
        return url
    return url.update_query_dict({WALLET_PASSWORD: given})


def without_secrets(url: URL) -> str:
    """The address for people, with *** for its secrets."""
    hidden = {key: HIDDEN for key in url.query if is_secret(key)}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def is_url(address: str) -> bool:
    """Whether `address` is a URL; otherwise it is the name of a stored connection."""
    return "://" in address


def default_folder() -> Path:
    """The default folder of connection files: ANONYMISATION_CONNECTIONS_DIR, or the user's own."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else user_config_path("image-anonymisation", appauthor=False) / "connections"


class ConnectionStore:
    """The connection files of a folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or default_folder()

    def path(self, name: str) -> Path:
        """The file of the connection `name`."""
        return self._folder / f"{name}.json"

    def names(self) -> list[str]:
        """All stored connections, sorted."""
        return sorted(path.stem for path in self._folder.glob("*.json") if _NAME.fullmatch(path.stem))

    def save(
        self, connection: StoredConnection, password: str | None, key: Key | None, wallet_password: str | None = None
    ) -> Path:
        """Write the connection's file, readable by its owner alone; returns its path. The passwords are encrypted.

        Raises:
            ConfigurationError: the folder cannot be written.
        """
        content: dict[str, Any] = {"format": _FORMAT, **_described(connection), "encrypted": None, "key": None}
        if password is not None and key is not None:
            wallet = {} if wallet_password is None else {WALLET_PASSWORD: wallet_password}
            sealed = json.dumps({**_described(connection), "password": password, **wallet}).encode("ascii")
            content |= {"encrypted": key.fernet().encrypt(sealed).decode("ascii"), "key": key.fingerprint}
        path = self.path(connection.name)
        try:
            make_folders(self._folder, _FOLDER_MODE)
            text = json.dumps(content, ensure_ascii=False, indent=4)
            write_atomically(path, f"{text}\n".encode(), mode=_MODE)
        except OSError as error:
            raise _refused(str(path), f"cannot be written ({error.strerror})") from error
        return path

    def read(self, name: str) -> StoredConnection:
        """The connection of that name, without its password.

        Raises:
            ConfigurationError: there is no such connection, or its file is damaged.
        """
        content = self._content(name)
        return StoredConnection(name=name, **{key: content[key] for key in _DESCRIPTION if key in content})

    def unlock(self, name: str, environment: Mapping[str, str] | None = None) -> URL:
        """The URL of the connection of that name, with its passwords.

        Raises:
            ConfigurationError: as `read`; or the key is missing or is a different one, or the file was changed.
        """
        connection, content, path = self.read(name), self._content(name), str(self.path(name))
        if content["encrypted"] is None:
            return connection.url()
        key = find_key(environment)
        if key.fingerprint != content["key"]:
            message = f"was encrypted with another key than that of {key.source}; give that one, or {_MAKE_AGAIN}"
            raise _refused(path, message)
        try:
            sealed = json.loads(key.fernet().decrypt(content["encrypted"].encode("utf-8")))
        except InvalidToken:
            raise _refused(path, f"its encrypted part is damaged; {_MAKE_AGAIN}") from None
        password, wallet_password = sealed.pop("password"), sealed.pop(WALLET_PASSWORD, None)
        if sealed != _described(connection):
            described = _described(connection)
            changed = ", ".join(name for name in {**described, **sealed} if sealed.get(name) != described.get(name))
            raise _refused(path, f"was changed since it was made ({changed}), so it is not used; {_MAKE_AGAIN}")
        url = connection.url(password)
        return url if wallet_password is None else url.update_query_dict({WALLET_PASSWORD: wallet_password})

    def _content(self, name: str) -> dict[str, Any]:
        if not _NAME.fullmatch(name):  # perhaps a mistyped URL with a password, so the message does not quote it
            message = "expected the name of a stored connection, or an SQLAlchemy URL"
            raise ConfigurationError([ConfigProblem("database", "address", message)])
        path = self.path(name)
        if not path.is_file():
            there = ", ".join(self.names()) or "none"
            near = did_you_mean(name, self.names())
            problem = (
                f"no such stored connection{near} in {self._folder}; there are: {there}. Make one with `anonymise db "
            )
            raise _refused(name, f"{problem}configure`, or give an SQLAlchemy URL")
        try:
            if path.stat().st_mode & 0o077:
                logging.getLogger(__name__).warning("%s: others may read it; set its mode to 600", path)
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:  # ValueError: not UTF-8, not JSON
            raise _refused(str(path), f"cannot be read ({error}); {_MAKE_AGAIN}") from None
        if not _is_sound(content):
            raise _refused(str(path), f"is no connection file of this version; {_MAKE_AGAIN}")
        return dict(content)


_DESCRIPTION: Final = tuple(item.name for item in fields(StoredConnection) if item.name != "name")


def _described(connection: StoredConnection) -> dict[str, Any]:
    """What the file says in clear. Files without options look as those of versions that knew none."""
    values = {key: value for key, value in asdict(connection).items() if key in _DESCRIPTION}
    return {key: value for key, value in values.items() if key != "options" or value}


def _is_sound(content: object) -> bool:
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        return False
    options = content.get("options", {})
    if not isinstance(options, dict) or not all(isinstance(value, str) for value in options.values()):
        return False
    needed, optional = ("dsn", "table"), ("user", "schema", "encrypted", "key")
    return all(isinstance(content.get(key), str) for key in needed) and all(
        key in content and isinstance(content[key], str | None) for key in optional
    )


def _refused(key: str, message: str) -> ConfigurationError:
    return ConfigurationError([ConfigProblem("stored connections", key, message)])
