"""Errors as python-oracledb makes them, with its own codes, classes and wrappers."""

from __future__ import annotations

from typing import Any

from oracledb import errors


def driver_error(code: int, message: str, offset: int = 0, prefix: str = "ORA") -> Any:
    """The driver's own description of an error of the server (ORA) or of itself (DPY): it adds the address of help, its
    own code where the session is gone, and the class of the exception.
    """
    return errors._Error(message, code=code if prefix == "ORA" else 0, offset=offset)


def raised(error: Any) -> Exception:
    """The exception that the driver raises for an error."""
    exception: Exception = error.exc_type(error)
    return exception


def while_connecting(cause: Exception) -> Exception:
    """What the driver makes of an error before the listener has handed the connection over."""
    made: Exception = errors._create_exception(
        errors.ERR_CONNECTION_FAILED, cause=cause, connection_id="mfwe3Vv0Z1e7GWCQmWm7Xw=="
    )
    return made


def refused_at_connect(error: Any) -> Exception:
    """The listener's refusals are wrapped, and their code is only in the text; those of the login are not wrapped."""
    if error.full_code in {"DPY-3001", "DPY-3010", "DPY-6000", "DPY-6001", "DPY-6003", "DPY-4011"}:
        return while_connecting(raised(error))
    if error.code in {12505, 12514}:
        number = errors.ERR_INVALID_SID if error.code == 12505 else errors.ERR_INVALID_SERVICE_NAME
        names: dict[str, Any] = {"service_name": "FREE", "sid": "FREE", "host": "nowhere", "port": 1521}
        return while_connecting(errors._create_exception(number, **names))
    if 12200 < error.code < 12700 or error.code == 28547:
        refused = errors._create_exception(errors.ERR_LISTENER_REFUSED_CONNECTION, error_code=error.code)
        return while_connecting(refused)
    return raised(error)
