"""How Oracle's driver connects: the options of an address, thick mode, and a limit on how long connecting takes.

The options have the names that the driver and Airflow's Oracle provider give them. An address has them in its query:
`oracle://host/?service_name=X&thick_mode=true&thick_mode_lib_dir=/opt/oracle&wallet_location=/etc/wallet`.

Thick mode uses Oracle's client libraries. It is needed for native network encryption and for servers before 12.1.
https://python-oracledb.readthedocs.io/en/latest/user_guide/initialization.html
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import oracledb
from sqlalchemy import URL

from anonymisation.core.text import did_you_mean
from anonymisation.database.oracle_options import NUMBER_OPTIONS, OPTIONS, SWITCHES, SYSTEM, TEXT_OPTIONS, as_bool

CONNECT_SECONDS: Final = 60  # for all hosts of an address together; as long as a server gives a client by default


def _constant(kind: Any) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        return kind(int(text)) if text.isdigit() else kind[text.upper()]

    return convert


# Each option of oracledb.connect, with the conversion of its text.
_CONNECT_OPTIONS: Final[Mapping[str, Callable[[str], Any]]] = {
    **dict.fromkeys(TEXT_OPTIONS, str),
    **dict.fromkeys(NUMBER_OPTIONS, int),
    **dict.fromkeys(SWITCHES, as_bool),
    "mode": _constant(oracledb.AuthMode),
    "purity": _constant(oracledb.Purity),
    "tcp_connect_timeout": float,
}


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """The options of an address. `connect` are arguments of oracledb.connect, which may hold a wallet's password."""

    thick: bool
    lib_dir: str | None
    config_dir: str | None
    connect: Mapping[str, Any] = field(repr=False)


def split_options(url: URL) -> tuple[URL, ClientOptions]:
    """An Oracle URL without its options, and these.

    Raises:
        ValueError: an option is unknown, or has a value that it cannot have. The message does not quote the value.
    """
    known = [*OPTIONS, "service_name"]
    texts = {key: value if isinstance(value, str) else value[-1] for key, value in url.query.items()}
    if unknown := [key for key in texts if key not in known]:
        hints = ", ".join(f"{key}{did_you_mean(key, known)}" for key in unknown)
        raise ValueError(f"unknown options of Oracle: {hints}; expected any of {', '.join(sorted(known))}")
    if url.database and "service_name" in texts:
        raise ValueError("an address of Oracle names a service (service_name) or a SID (sid, URL …/SID), and not both")
    given = [key for key in texts if key in _CONNECT_OPTIONS]
    connect = {key: _converted(key, texts[key], _CONNECT_OPTIONS[key]) for key in given}
    thick = _converted("thick_mode", texts["thick_mode"], as_bool) if "thick_mode" in texts else None
    lib_dir = texts.get("thick_mode_lib_dir") or None
    options = ClientOptions(
        thick=bool(lib_dir) if thick is None else thick,
        lib_dir=None if lib_dir == SYSTEM else lib_dir,
        config_dir=texts.get("thick_mode_config_dir") or None,
        connect=connect,
    )
    kept = {key: value for key, value in url.query.items() if key == "service_name"}
    return url.set(query=kept), options


def _converted(key: str, text: str, convert: Callable[[str], Any]) -> Any:
    try:
        return convert(text)
    except (ValueError, KeyError):
        raise ValueError(f"the option {key} of Oracle has a value that it cannot have") from None


def use_client(options: ClientOptions, initialise: Callable[..., None] = oracledb.init_oracle_client) -> None:
    """Load Oracle's client libraries, if the options ask for thick mode. Doing so twice is harmless.

    Raises:
        ValueError: they cannot be loaded, or this process uses the driver in another way already.
    """
    if not options.thick:
        return
    try:
        initialise(lib_dir=options.lib_dir, config_dir=options.config_dir)
    except oracledb.Error as error:
        raise ValueError(_in_words(str(error), options)) from error


def _in_words(reason: str, options: ClientOptions) -> str:
    first = reason.splitlines()[0] if reason else "no reason is given"
    if "DPY-2019" in reason:
        return f"thick mode of Oracle must be on before this process connects for the first time ({first})"
    if "DPY-2017" in reason:
        return f"this process uses Oracle's client libraries with another folder or configuration already ({first})"
    place = options.lib_dir or "the library path of the system (LD_LIBRARY_PATH, ldconfig)"
    return (
        f"thick mode needs Oracle's client libraries, which cannot be loaded from {place} ({first}). Install Oracle "
        "Instant Client (Basic) of this machine's architecture, with libaio, and name its folder in "
        "oracle_client_lib_dir or thick_mode_lib_dir; on Linux, that folder must be in LD_LIBRARY_PATH or known to "
        "ldconfig as well"
    )


def connected_within(seconds: float, connect: Callable[[], Any]) -> Any:
    """The result of `connect`, which may take `seconds`. The driver itself waits for a listener's answer without limit.

    Raises:
        oracledb.OperationalError: there was no answer in this time. A connection that is made later is closed.
    """
    outcome: list[Any] = []
    error: list[BaseException] = []
    lock, over = threading.Lock(), False

    def work() -> None:
        try:
            connection = connect()
        except BaseException as raised:  # noqa: BLE001 - raised again by the caller
            error.append(raised)
            return
        with lock:
            if not over:
                outcome.append(connection)
                return
        connection.close()

    thread = threading.Thread(target=work, name="oracle-connect", daemon=True)
    thread.start()
    thread.join(seconds)
    with lock:
        over = not outcome
    if error:
        raise error[0]
    if outcome:
        return outcome[0]
    raise oracledb.OperationalError(f"the server accepted the connection, and gave no answer within {seconds:g} s")
