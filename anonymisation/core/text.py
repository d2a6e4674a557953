"""Make text safe to show and to send: no credentials, no control characters, no lone surrogates."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final
from urllib.parse import quote, quote_plus

HIDDEN: Final = "***"

# The password of a URL. It ends at the last @ of the word, since people paste passwords that hold one unquoted.
_URL_PASSWORD: Final = re.compile(r"(?P<before>://[^\s/:@]*:)[^\s]+(?=@)")
# user/password@host:port, user/password@//host and user/password@(DESCRIPTION=…), as Oracle's tools have them. Without
# a port it looks like a path with an @ in it, which stays as it is.
_ORACLE_PASSWORD: Final = re.compile(
    r"(?P<before>(?:^|(?<=[\s\"'=,(]))[^\s/@\"'=,(]+/)[^\s/]+(?=@(?://|\(|[\w.-]+:[0-9]{1,5}\b))"
)
# password=…, pwd: …, "api_token": "…", in query strings, connection strings and dumps of settings.
_NAMED_SECRET: Final = re.compile(
    r"(?P<before>(?:password|passwd|passphrase|pwd|secret|token|scram_client_key|scram_server_key)[\"']?\s*[=:]\s*)(?P<quote>[\"'])?(?(quote)[^\"']+|[^\s\"'&;,)}*]+)",
    re.IGNORECASE,
)


def hide_credentials(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without passwords: those in URLs, those that follow their name, and each of `secrets` anywhere."""
    for secret in secrets:
        for form in (secret, quote(secret, safe=""), quote_plus(secret), quote(secret, safe=" +")):
            text = text.replace(form, HIDDEN) if form else text
    text = _URL_PASSWORD.sub(rf"\g<before>{HIDDEN}", text)
    text = _ORACLE_PASSWORD.sub(rf"\g<before>{HIDDEN}", text)
    return _NAMED_SECRET.sub(lambda match: f"{match['before']}{match['quote'] or ''}{HIDDEN}", text)


def one_line(text: str) -> str:
    """`text` on one line: control characters (line breaks, terminal escapes) and lone surrogates are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question to append to a message about an unknown word, such as ` (did you mean blur?)`; empty if none is near.

    Case does not matter.
    """
    folded = {name.casefold(): name for name in known}
    near = get_close_matches(word.casefold(), folded, n=1)
    return f" (did you mean {folded[near[0]]}?)" if near else ""


def duration(seconds: float) -> str:
    """Format seconds in readable units: `1 h 02 min`, `3 min 09 s` or `12 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def counted(number: int, thing: str, things: str = "") -> str:
    """A number with its noun: `1 picture`, `2 pictures`; `things` where the plural is not made with an s."""
    return f"{number} {thing if number == 1 else things or f'{thing}s'}"


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can encode `text`: it has no lone surrogate, as from bytes of a file name that are not UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def encodable(text: str) -> str:
    """`text` with lone surrogates (bytes of a file name that are not UTF-8) escaped, so that it can be encoded."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
