"""The real driver of Oracle before a listener that refuses it: each refusal has its class, and says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from anonymisation.core.errors import ConfigurationError, DatabaseUnavailableError
from anonymisation.database.administration import count_rows
from anonymisation.database.connections import connection_url
from anonymisation.database.dialects.base import Fault
from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.loading.loader import LoadLimits, SourceRecord, load_records
from anonymisation.database.target import DatabaseTarget, open_target
from tests.database.oracle_errors import driver_error, refused_at_connect
from tests.database.oracle_listener import OracleListener

oracledb = pytest.importorskip("oracledb")

from anonymisation.database.dialects.oracle import OracleDialect  # noqa: E402 - needs the driver

REFUSED: dict[str | int, tuple[str, str, str]] = {
    "encrypt": ("DPY-3001", "demands native network encryption", "oracle_client_lib_dir"),
    "old": ("DPY-3010", "older than Oracle 12.1", "oracle_client_lib_dir"),
    12660: ("ORA-12660", "demands native network encryption", "oracle_client_lib_dir"),
    12650: ("ORA-12650", "demands native network encryption", "oracle_client_lib_dir"),
    12514: ("ORA-12514", "does not know this service name", "lsnrctl services"),
    12505: ("ORA-12505", "does not know this SID", "Use the service name"),
    28547: ("ORA-28547", "does not speak with this client", "Check host and port"),
    12999: ("ORA-12999", "refuses this login", "db configure"),  # an unknown code
}
AWAY = {"reset": Fault.AGAIN, 12541: Fault.AWAY, 12528: Fault.AWAY, 12520: Fault.AWAY, 12537: Fault.AWAY}


def target_at(listener: OracleListener, connect_seconds: float = 5) -> DatabaseTarget:
    return open_target(listener.url, load_layout("PICTURES"), dialect=OracleDialect(connect_seconds=connect_seconds))


@pytest.mark.parametrize("says", REFUSED)
def test_a_refusal_is_a_mistake_of_configuration_that_says_what_to_do(says: str | int) -> None:
    code, matter, todo = REFUSED[says]
    with (
        OracleListener(says) as listener,
        target_at(listener) as target,
        pytest.raises(ConfigurationError) as caught,
    ):
        count_rows(target)
    message = str(caught.value)
    assert (code in message, matter in message, todo in message) == (True, True, True), message
    assert "hunter2" not in message


@pytest.mark.parametrize("says", AWAY)
def test_a_listener_without_a_server_is_away(says: str | int) -> None:
    with OracleListener(says) as listener, target_at(listener) as target:
        with pytest.raises(DatabaseUnavailableError) as caught:
            count_rows(target)
        assert "hunter2" not in str(caught.value)
        with pytest.raises(DBAPIError) as error:
            target.engine.connect()
        assert target.dialect.fault(error.value) is AWAY[says]


def test_a_listener_that_never_answers_is_away_and_does_not_hold_the_task(
    state: Path, limits: LoadLimits, make_records: Callable[..., list[SourceRecord]]
) -> None:
    with OracleListener("silent") as listener, target_at(listener, 0.3) as target:
        report = load_records(make_records(2), target, state, limits)
    assert report.waiting == 2
    assert listener.connects


@pytest.mark.parametrize("says", ["encrypt", "old", "reset", 12660, 12514, 12541, 28547])
def test_the_fake_driver_of_the_other_tests_wraps_as_the_real_one(says: str | int) -> None:
    """Class and text of the exception, apart from the connection's own number and what it connects to."""
    with OracleListener(says) as listener, pytest.raises(oracledb.Error) as real:
        oracledb.connect(user="me", password="hunter2", dsn=f"127.0.0.1:{listener.port}/FREE")
    made: Any
    if isinstance(says, str):
        code = {"encrypt": 3001, "old": 3010, "reset": 4011}[says]
        made = refused_at_connect(driver_error(code, f"DPY-{code}: said", prefix="DPY"))
    else:
        made = refused_at_connect(driver_error(says, f"ORA-{says}: said"))
    assert type(made) is type(real.value)
    assert _codes(made) == _codes(real.value)
    assert (made.args[0].full_code, made.args[0].code) == (real.value.args[0].full_code, real.value.args[0].code)


def _codes(error: BaseException) -> list[str]:
    return re.findall(r"(?:ORA|DPY)-\d+", str(error))


def test_the_time_limit_closes_a_connection_that_comes_too_late() -> None:
    from threading import Event

    from anonymisation.database.dialects.oracle_client import connected_within

    go, closed = Event(), Event()

    class Late:
        def close(self) -> None:
            closed.set()

    def connect() -> Late:
        go.wait(10)
        return Late()

    with pytest.raises(oracledb.OperationalError, match="gave no answer within"):
        connected_within(0.05, connect)
    go.set()
    assert closed.wait(10)


def test_a_port_without_tls_is_no_bad_certificate(tmp_path: Path) -> None:
    with OracleListener("old") as listener:
        url = sa.URL.create("oracle", "me", "hunter2", host=f"tcps://127.0.0.1:{listener.port}/FREE")
        with open_target(url, load_layout("PICTURES")) as target, pytest.raises(ConfigurationError) as caught:
            count_rows(target)
    assert "does not speak TLS with this client" in str(caught.value)


def test_of_several_hosts_each_is_tried() -> None:
    with OracleListener("reset") as first, OracleListener(12660) as second:
        host = f"127.0.0.1:{first.port},127.0.0.1:{second.port}/FREE"
        url = connection_url(host, "me", "hunter2")
        with open_target(url, load_layout("PICTURES")) as target, pytest.raises(ConfigurationError, match="ORA-12660"):
            count_rows(target)
        assert first.connects
        assert second.connects


# --- addresses --------------------------------------------------------------------------------------------------------


def test_an_alias_is_looked_up_in_the_folder_of_the_option(tmp_path: Path) -> None:
    with OracleListener(12514) as listener:
        address = f"(ADDRESS=(PROTOCOL=TCP)(HOST=127.0.0.1)(PORT={listener.port}))"
        text = f"ROADS = (DESCRIPTION={address}(CONNECT_DATA=(SERVICE_NAME=roads.example)))\n"
        (tmp_path / "tnsnames.ora").write_text(text)
        url = sa.URL.create("oracle", "me", "hunter2", host="ROADS", query={"config_dir": str(tmp_path)})
        with (
            open_target(url, load_layout("PICTURES")) as target,
            pytest.raises(ConfigurationError, match=r'Service "roads\.example"'),
        ):
            count_rows(target)
    missing = url.set(host="NOWHERE")
    said = r"TNS alias is not found.*config_dir"
    with open_target(missing, load_layout("PICTURES")) as target, pytest.raises(ConfigurationError, match=said):
        count_rows(target)
