"""The causes of PostgreSQL's errors.

A code that is not listed here is a refusal. Away is only a server that does not answer, shuts down or starts, or has no
room left for anyone: connections, memory, disk. A statement that takes longer than its time limit counts as no answer.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

import psycopg
from sqlalchemy.exc import DBAPIError

from anonymisation.database.dialects.base import Fault

# Codes of SQLSTATE, else their classes, https://www.postgresql.org/docs/current/errcodes-appendix.html
_FAULTS: Final = MappingProxyType(
    {
        "08": Fault.AWAY,  # connection exception
        "0A": Fault.SETUP,  # not supported, such as ON CONFLICT for a table with rules
        "25": Fault.SETUP,  # such as a server that only reads
        "25P03": Fault.AGAIN,  # idle for too long in a transaction
        "25P04": Fault.AGAIN,  # transaction took too long
        "28": Fault.LOGIN,
        "2BP01": Fault.SETUP,  # other objects depend on the table
        "3D": Fault.LOGIN,  # no such database
        "3F": Fault.SETUP,  # no such schema
        "40": Fault.AGAIN,  # the transaction was rolled back: serialization failure, deadlock
        "40002": Fault.ROW,  # by a constraint
        "42": Fault.SETUP,  # syntax or access rule
        "42P01": Fault.MISSING,
        "42P07": Fault.EXISTS,
        "53": Fault.AWAY,  # out of connections, memory or disk space
        "55": Fault.SETUP,  # object not in prerequisite state
        "55P03": Fault.AGAIN,  # another session holds a lock
        "57": Fault.AWAY,  # shutdown, start, statement_timeout
        "57P01": Fault.AGAIN,  # terminated by an administrator
        "57P04": Fault.LOGIN,  # the database was dropped
        "57P05": Fault.AGAIN,  # idle for too long
        "58": Fault.SETUP,  # a file of the server is missing
        "58030": Fault.AWAY,  # the server's disk fails
    }
)
# Functions of the server that raise an error, from its field "source function", which no language translates:
# RAISE of PL/pgSQL (pl_exec.c), a policy or a view that does not take the row (execMain.c).
_RAISED: Final = "exec_stmt_raise"
_POLICIES: Final = "ExecWithCheckOptions"
# What to do about them, by the beginning of the statement.
_NO_RIGHT: Final = MappingProxyType(
    {
        "CREATE": "this login may not create the table ({reason}). Create it with a login that may (GRANT CREATE ON "
        "SCHEMA … TO …), or give the statements of `anonymise db create-table --print` to an administrator",
        "DROP": "this login may not remove the table ({reason}); log in as its owner",
        "": "this login lacks a right ({reason}). Loading needs USAGE on the table's schema, and SELECT, INSERT and "
        "UPDATE on the table: GRANT SELECT, INSERT, UPDATE ON … TO …",
    }
)
_ADVICE: Final = MappingProxyType(
    {
        "0A000": "the table or view does not take what a load sends, INSERT and UPDATE with RETURNING ({reason}). If "
        "it has rules (CREATE RULE), replace them with triggers; those of a view are INSTEAD OF triggers",
        "25006": "this server only reads ({reason}), as a standby does; give the address of the primary server",
        "2BP01": "other objects depend on the table ({reason}: {detail}); nothing was removed. Remove them first, and "
        "create them again afterwards",
        "3F000": "the schema is not there ({reason}); create it with CREATE SCHEMA, or correct the name of the schema",
        "42704": "PostGIS is not installed in this database, or this login may not use its schema ({reason}). An "
        "administrator installs it with CREATE EXTENSION postgis, or gives the right with GRANT USAGE ON SCHEMA … TO …",
        "55000": "the table or view does not take what a load sends, INSERT and UPDATE ({reason})",
        "42809": "a view or another object, not a table, has this name ({reason}); remove it yourself first",
    }
)
# Of 42809 from a load; nothing is in the way of a new table.
_NO_TARGET: Final = (
    "what has this name is neither a table nor a view that takes rows ({reason}); rename it, and create the table with "
    "`anonymise db create-table`, or choose another table with db_table"
)
# PgBouncer's answer to `options` (and other parameters) that it cannot pass on to the sessions that clients share.
_STARTUP: Final = re.compile(r"unsupported startup parameter[^\n]*")
_NO_STARTUP: Final = (
    "the pooler in front of the database takes no such parameters ({reason}). Remove `options` from the URL or the "
    "stored connection, and set the values for the user in the database (ALTER ROLE … SET …); or let the pooler "
    "ignore them (ignore_startup_parameters in pgbouncer.ini), which leaves them without effect"
)
_NOT_OF_A_ROW: Final = frozenset((Fault.SETUP, Fault.MISSING, Fault.EXISTS, Fault.LOGIN))

# A refused connection has no SQLSTATE, only a message: from the server, after a severity and two spaces, or from the
# client's library (libpq's fe-auth.c, fe-secure.c, fe-secure-openssl.c).
_SERVER_SPOKE: Final = re.compile(r"\b[^\W\d_]{3,}:  ")
_NOT_NOW: Final = re.compile(
    r"the database system is|too many (clients|connections)|connection slots|terminating|"
    # PgBouncer, which speaks as the server does
    r"no more connections allowed|cannot connect to server|server login has been failing|query_wait_timeout|"
    r"server_login_retry|client_login_timeout|pgbouncer is shut"
)
_REFUSED: Final = re.compile(
    r"authentication failed|authentication method|pg_hba\.conf|(role|database) \".*\" does not exist|"
    r"not permitted to log in|permission denied for database|no password supplied|valid client certificate|"
    r"SSL error: (?!unexpected eof)|SSL was required|root certificate file|(server|client) certificate|"
    r"certificate file|private key file|sslmode|sslrootcert|invalid connection option"
)


def fault_of(error: DBAPIError) -> Fault:
    """The cause of an error of psycopg."""
    code = getattr(error.orig, "sqlstate", None)
    if code is None or not isinstance(error.orig, psycopg.Error):
        return _without_code(error)
    diagnosis = error.orig.diag
    if diagnosis.source_function == _RAISED:
        return Fault.ROW  # a trigger may raise any code
    fault = _FAULTS.get(code) or _FAULTS.get(code[:2], Fault.ROW)
    # With a context the error is one of a function that the row has called, such as a trigger.
    by_row = diagnosis.source_function == _POLICIES or bool(diagnosis.context)
    return Fault.ROW if by_row and fault in _NOT_OF_A_ROW else fault


def advice_of(error: DBAPIError) -> str | None:
    """What happened and what to do, for errors of the set-up whose cause is known."""
    if isinstance(error.orig, psycopg.Error) and (found := _STARTUP.search(str(error.orig))):
        return _NO_STARTUP.format(reason=found[0])
    if not isinstance(error.orig, psycopg.Error) or fault_of(error) is not Fault.SETUP:
        return None
    code, diagnosis, statement = error.orig.sqlstate or "", error.orig.diag, (error.statement or "").lstrip().upper()
    known = _ADVICE.get(code)
    if code == "42809" and statement.startswith("INSERT"):
        known = _NO_TARGET
    if code == "42501":
        known = next(text for start, text in _NO_RIGHT.items() if statement.startswith(start))
    reason = ". ".join(part.rstrip(".") for part in (diagnosis.message_primary, diagnosis.message_hint) if part)
    if known is None:
        return None
    detail = " ".join((diagnosis.message_detail or "").split()) if code == "2BP01" else ""  # others may quote the row
    return known.format(reason=reason, detail=detail)


def _without_code(error: DBAPIError) -> Fault:
    """The cause of an error that the driver raises by itself, or of a connection that is not made or breaks."""
    if isinstance(error.orig, (psycopg.DataError, psycopg.NotSupportedError)):
        return Fault.ROW
    if _is_refusal(error.orig):
        return Fault.LOGIN
    if error.connection_invalidated:
        return Fault.AGAIN
    # A connection that breaks at the commit is not marked as invalid. Errors of connecting have a `pgconn`.
    broke = isinstance(error.orig, psycopg.OperationalError) and error.orig.pgconn is None
    return Fault.AGAIN if broke and not isinstance(error.orig, psycopg.errors.ConnectionTimeout) else Fault.AWAY


def _is_refusal(error: BaseException | None) -> bool:
    """Whether a connection was refused because of its parameters, and not because the server is away."""
    if isinstance(error, psycopg.ProgrammingError):
        return True  # from the driver: the URL has an unknown option
    if not isinstance(error, psycopg.Error) or error.pgconn is None:
        return False  # not from connecting
    message = str(error)
    if _REFUSED.search(message):
        return True
    return bool(_SERVER_SPOKE.search(message)) and not _NOT_NOW.search(message)
