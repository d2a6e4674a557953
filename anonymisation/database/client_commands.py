"""Commands in SQL scripts that the database's own client understands and the database does not: of SQL*Plus and psql.

Those that concern the output alone are skipped. Those that would change what a script does are refused by name.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final


class Effect(Enum):
    """What a command means for the rest of the script."""

    SKIPPED = "skipped"
    END = "end"
    REFUSED = "refused"


# SET of SQL*Plus has these words; SET of SQL has others.
_SETTINGS: Final = (
    "APPI(?:NFO)?|ARRAY(?:SIZE)?|AUTOP(?:RINT)?|AUTOT(?:RACE)?|BLO(?:CKTERMINATOR)?|CMDS(?:EP)?|COLSEP|DEF(?:INE)?|"
    r"DESCRIBE|ECHO|EMB(?:EDDED)?|ERRORL(?:OGGING)?|ESC(?:APE)?|FEED(?:BACK)?|FLU(?:SH)?|HEA(?:DING)?|HEADS(?:EP)?|"
    r"LIN(?:ESIZE)?|LONG|LONGC(?:HUNKSIZE)?|MARK(?:UP)?|NEWP(?:AGE)?|NULL|NUMF(?:ORMAT)?|NUM(?:WIDTH)?|PAGES(?:IZE)?|"
    r"PAU(?:SE)?|SCAN|SERVEROUT(?:PUT)?|SHOW(?:MODE)?|SQLBL(?:ANKLINES)?|SQLN(?:UMBER)?|SQLP(?:ROMPT|REFIX)?|SUF(?:FIX)?|"
    r"TAB|TERM(?:OUT)?|TI(?:ME)?(?!\s+ZONE)|TIMI(?:NG)?|TRIM(?:OUT)?|TRIMS(?:POOL)?|UND(?:ERLINE)?|VER(?:IFY)?|WRA(?:P)?"
)
_COMMANDS: Final = tuple(
    (effect, re.compile(rf"(?P<name>{form})(?![\w$#])", re.IGNORECASE | re.ASCII))
    for effect, form in (
        (Effect.REFUSED, r"SET\s+(?:AUTO(?:COMMIT)?|CON(?:CAT)?|SQLT(?:ERMINATOR)?|SQLC(?:ASE)?)"),
        (Effect.SKIPPED, rf"SET\s+(?:{_SETTINGS})"),
        (Effect.SKIPPED, r"PRO(?:MPT)?|REM(?:ARK)?|SHO(?:W)?\s+ERR(?:ORS)?|SPO(?:OL)?|TTI(?:TLE)?|BTI(?:TLE)?|CLEAR"),
        (Effect.SKIPPED, r"COL(?:UMN)?|TIMING|DESC(?:RIBE)?|PAU(?:SE)?|WHENEVER\s+(?:SQL|OS)ERROR\s+EXIT"),
        (Effect.END, r"(?:EXIT|QUIT)(?:\s+(?:SUCCESS|0|COMMIT))*\s*;?\s*\Z"),
        (Effect.REFUSED, r"EXIT|QUIT|CONN(?:ECT)?|DISC(?:ONNECT)?|DEF(?:INE)?|UNDEF(?:INE)?|ACC(?:EPT)?|VAR(?:IABLE)?"),
        (Effect.REFUSED, r"EXEC|HO(?:ST)?|PRINT|WHENEVER|STA(?:RT)?(?!\s+TRANSACTION)|PASSW(?:ORD)?|XQUERY"),
    )
)
_SIGNS: Final = (
    (
        Effect.SKIPPED,
        re.compile(r"(?P<name>\\(?:q?echo|warn|timing|pset|x|a|t|o|encoding|conninfo|d\S*))(?=\s|\Z)"),
    ),
    (Effect.SKIPPED, re.compile(r"(?P<name>\\(?:set|unset)\s+(?:ON_ERROR_STOP|QUIET|VERBOSITY|ECHO\w*))\b")),
    (Effect.END, re.compile(r"(?P<name>\\q)\s*\Z")),
    (Effect.REFUSED, re.compile(r"(?P<name>\\[a-z!]\w*|@@?)", re.IGNORECASE)),
)


def command_of(line: str) -> tuple[str, Effect] | None:
    """The name and the effect of the command that begins with `line`; None if it begins a statement."""
    for effect, form in (*_SIGNS, *_COMMANDS):
        if found := form.match(line):
            return " ".join(found["name"].split()).rstrip(";").strip(), effect
    return None
