"""The causes of Oracle's errors, and of those of its driver in thin mode.

A code that is not listed here is a refusal. Away is only a server that does not answer, shuts down or starts, or has no
room left for anyone: sessions, memory, disk. A call that takes longer than its time limit counts as no answer.

The driver puts an error that it gets while it connects inside an error of its own (DPY-6005), often in two layers and
with Oracle's code only in the text. So the codes of the whole message count, the outermost first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import oracledb
from sqlalchemy.exc import DBAPIError

from anonymisation.core.text import hide_credentials
from anonymisation.database.dialects.base import Fault
from anonymisation.database.dialects.oracle_advice import situation

DUPLICATE_KEY: Final = 1  # ORA-00001
OTHER_SYSTEM: Final = "ORA-13365"  # a spatial index takes points of its own reference system only

_CODE: Final = re.compile(r"\b(?P<prefix>ORA|TNS|DPY)-(?P<number>[0-9]{1,5})\b")


def _listed(fault: Fault, prefix: str, *numbers: int) -> dict[str, Fault]:
    return {f"{prefix}-{number}": fault for number in numbers}


# https://docs.oracle.com/en/error-help/db/ and python-oracledb's errors.py
_FAULTS: Final = {
    # Too many sessions or processes; timeouts of locks and of connecting; starting, stopping, or not open to all.
    **_listed(
        Fault.AWAY, "ORA", 18, 19, 20, 51, 1013, 1033, 1034, 1035, 1089, 1090, 1109, 1219, 2049, 2391, 3136, 4021
    ),
    # No space: of a tablespace, a quota, undo, temporary segments, the archive log; no memory; an unreadable file.
    **_listed(Fault.AWAY, "ORA", 257, 376, 1114, 1115, 1536, 1630, 1631, 1632, 1650, 1652, 1653, 1654, 1658, 1659),
    **_listed(Fault.AWAY, "ORA", 1683, 1688, 1691, 1692, 1693, 4030, 4031, 19809, 19815, 27102, 30036, 65114),
    # The network, and a listener that has no server to hand over to.
    **_listed(Fault.AWAY, "ORA", 3111, 12150, 12151, 12152, 12153, 12157, 12170, 12203, 12224, 12500, 12516, 12518),
    **_listed(Fault.AWAY, "ORA", 12519, 12520, 12521, 12526, 12527, 12528, 12535, 12536, 12537, 12540, 12541, 12543),
    **_listed(Fault.AWAY, "ORA", 12545, 12547, 12560, 12564, 12570, 12571, 12583, 12606, 12608, 12609, 12637, 12757),
    **_listed(Fault.AWAY, "DPY", 4005, 4024, 6004),  # no connection of a pool; call timeout; proxy
    # The session or the transaction is gone. (The driver reports most of these as DPY-4011.)
    **_listed(Fault.AGAIN, "ORA", 22, 28, 54, 60, 603, 1012, 1041, 1092, 2396, 3113, 3114, 3122, 3135, 8177, 25408),
    **_listed(Fault.AGAIN, "ORA", 4061, 4068),  # a package of a trigger was compiled meanwhile
    **_listed(Fault.AGAIN, "DPY", 1001, 4011, 4033, 5000, 5001, 5002, 5003, 5004, 5006),
    **_listed(Fault.MISSING, "ORA", 942),
    **_listed(Fault.EXISTS, "ORA", 955),
    # No such column, or one of another type; no right; only for reading.
    **_listed(Fault.SETUP, "ORA", 904, 932, 1031, 1456, 1720, 16000),
    # Login, account and password; no such TNS alias; no common way of authentication.
    **_listed(Fault.LOGIN, "ORA", 1005, 1017, 1045, 12154, 28000, 28001, 28040, 28546, 28547),
    # Native network encryption or checksums on one side alone; no common algorithm.
    **_listed(Fault.LOGIN, "ORA", 12599, 12649, 12650, 12660, 12685, 12686),
    # TLS: a certificate that is not accepted, or of another server.
    **_listed(Fault.LOGIN, "ORA", 28759, 28860, 28864, 29003, 29024),
    # No wallet; server or verifier too old; native encryption; credentials; an unreadable or missing address; a
    # certificate of another server.
    **_listed(
        Fault.LOGIN, "DPY", 2018, 3001, 3010, 3015, 4000, 4001, 4017, 4018, 4021, 4026, 4027, 6002, 6006, 6008, 6009
    ),
}
# Around the error that counts: connecting; an error inside of Oracle's own SQL; a commit that was refused.
_WRAPPERS: Final = frozenset(("DPY-6005", "DPY-6000", "ORA-604", "ORA-2091"))
# The listener knows no such service (or SID): the name is wrong, or the database is still starting.
_UNKNOWN_SERVICE: Final = frozenset(("ORA-12505", "ORA-12514", "DPY-6001", "DPY-6003"))
_IN_TRIGGER: Final = frozenset(("ORA-4088", "ORA-6512"))  # the code before it comes from a trigger or its PL/SQL
_NOT_OF_A_ROW: Final = frozenset((Fault.SETUP, Fault.MISSING, Fault.EXISTS, Fault.LOGIN))
_TLS: Final = ("[SSL: ", "[SSL]")  # text of Python's ssl module, inside DPY-6005


def fault_of(error: DBAPIError, *, was_there: bool) -> Fault:
    """The cause of an error of oracledb; `was_there`: this process has been connected before."""
    cause, text = error.orig, str(error.orig)
    if any(words in text for words in _TLS):
        return Fault.LOGIN
    codes = list(_codes(text))
    told = [code for code in codes if code not in _WRAPPERS]
    if not told:  # no code: an error of the socket, or of the name lookup
        lost = isinstance(cause, (oracledb.OperationalError, oracledb.InterfaceError))
        return Fault.AWAY if lost or codes else Fault.ROW
    if told[0] in _UNKNOWN_SERVICE:
        return Fault.AWAY if was_there else Fault.LOGIN
    fault = _FAULTS.get(told[0], Fault.ROW)
    if fault is Fault.ROW and _is_lost(error):
        return Fault.AGAIN
    return Fault.ROW if fault in _NOT_OF_A_ROW and _IN_TRIGGER.intersection(codes) else fault


def fault_of_row(message: str) -> Fault:
    """The cause of one error of a batch."""
    return fault_of(wrapped(oracledb.DatabaseError(message)), was_there=True)


def wrapped(error: oracledb.Error) -> DBAPIError:
    """An error of the driver as SQLAlchemy would raise it, without the row."""
    return DBAPIError("MERGE", None, error, hide_parameters=True)


def advice_of(error: DBAPIError) -> str | None:
    """What is the matter, the driver's words, and what to do; None where nothing more is known."""
    text = str(error.orig)
    known = situation(list(_codes(text)), text)
    return None if known is None else f"{known[0]} ({in_one_line(text)}). {known[1]}"


def in_one_line(message: str) -> str:
    """The message without its last line, the address of Oracle's help; a DSN that it quotes without its password."""
    shown = " ".join(line for line in message.splitlines() if line and not line.startswith("Help: "))
    return hide_credentials(shown)


def _is_lost(error: DBAPIError) -> bool:
    cause = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return error.connection_invalidated or bool(getattr(cause, "isrecoverable", False))


def _codes(message: str) -> Iterator[str]:
    """The codes in a message, in order, such as ORA-1017; a listener's TNS codes are Oracle's."""
    for found in _CODE.finditer(message):
        prefix = "ORA" if found["prefix"] == "TNS" else found["prefix"]
        yield f"{prefix}-{int(found['number'])}"
