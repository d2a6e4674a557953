"""Thick mode, wallets and other options: from the address to the calls of Oracle's driver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from anonymisation.cli import cli
from anonymisation.core.errors import ConfigurationError
from anonymisation.database.administration import count_rows
from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.oracle_options import with_client
from anonymisation.database.target import open_target
from tests.database.fake_oracle import FakeOracle

oracledb = pytest.importorskip("oracledb")

from anonymisation.database.dialects.oracle import OracleDialect  # noqa: E402 - needs the driver

ADDRESS = "oracle://me:hunter2@db.example/?service_name=ROADS"


class Driver:
    """The two calls of the driver, noted down; behind them is the fake server."""

    def __init__(self, refuses: str | None = None) -> None:
        self.refuses = refuses
        self.initialised: list[dict[str, Any]] = []
        self.connected: list[dict[str, Any]] = []

    def init_oracle_client(self, **options: Any) -> None:
        self.initialised.append(options)
        if self.refuses is not None:
            raise oracledb.DatabaseError(self.refuses)

    def connect(self, *_: object, **options: Any) -> Any:
        self.connected.append(options)
        return FakeOracle().connect(**options)

    def open(self, url: str | sa.URL) -> Any:
        return open_target(url, load_layout("PICTURES"), dialect=OracleDialect(self.connect, self.init_oracle_client))


def test_the_options_of_an_address_reach_the_driver() -> None:
    driver = Driver()
    options = "&wallet_location=/etc/wallet&wallet_password=s%203&ssl_server_dn_match=false&expire_time=2&mode=sysdba"
    client = "&thick_mode=True&thick_mode_lib_dir=/opt/oracle&thick_mode_config_dir=/etc/tns&config_dir=/etc/tns"
    with driver.open(ADDRESS + options + client) as target:
        assert count_rows(target) is None
        assert driver.initialised == [{"lib_dir": "/opt/oracle", "config_dir": "/etc/tns"}]
        [sent] = driver.connected
        assert {key: sent[key] for key in ("wallet_location", "wallet_password", "ssl_server_dn_match", "mode")} == {
            "wallet_location": "/etc/wallet",
            "wallet_password": "s 3",
            "ssl_server_dn_match": False,
            "mode": oracledb.AuthMode.SYSDBA,
        }
        assert (sent["user"], sent["password"], sent["config_dir"], sent["expire_time"]) == (
            "me",
            "hunter2",
            "/etc/tns",
            2,
        )
        assert "thick_mode" not in sent
        assert "s 3" not in str(target.engine.url) + repr(target) + repr(target.engine)


@pytest.mark.parametrize(
    ("query", "calls"),
    [
        ("", []),
        ("&thick_mode=false&thick_mode_lib_dir=/opt/oracle", []),
        ("&thick_mode=true", [{"lib_dir": None, "config_dir": None}]),
        ("&thick_mode_lib_dir=/opt/oracle", [{"lib_dir": "/opt/oracle", "config_dir": None}]),
        ("&thick_mode_lib_dir=system", [{"lib_dir": None, "config_dir": None}]),
    ],
)
def test_thick_mode_is_on_where_the_address_says_so(query: str, calls: list[dict[str, Any]]) -> None:
    driver = Driver()
    driver.open(ADDRESS + query).close()
    assert driver.initialised == calls


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (
            'DPI-1047: Cannot locate a 64-bit Oracle Client library: "x.so"',
            r"cannot be loaded from /opt/oracle \(DPI-1047",
        ),
        ("DPY-2019: thick mode cannot be used because thin mode", "before this process connects for the first time"),
        ("DPY-2017: init_oracle_client() was already called", "with another folder or configuration already"),
    ],
)
def test_client_libraries_that_cannot_be_used_are_a_mistake_of_configuration(refusal: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Driver(refusal).open(f"{ADDRESS}&thick_mode_lib_dir=/opt/oracle")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("&walet_location=/secret", r"walet_location \(did you mean wallet_location\?\)"),
        ("&thick_mode=perhaps-secret", "thick_mode of Oracle has a value that it cannot have"),
        ("&mode=secret", "mode of Oracle has a value"),
        ("&expire_time=secret", "expire_time of Oracle has a value"),
    ],
)
def test_an_option_that_the_driver_does_not_have_is_refused_without_its_value(query: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        Driver().open(ADDRESS + query)
    assert "secret" not in str(caught.value)


def test_a_service_and_a_sid_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match=r"a service \(service_name\) or a SID"):
        Driver().open("oracle://loader:secret@db:1521/ORCL?service_name=X")


def test_the_configured_client_is_for_oracle_addresses_that_name_no_mode() -> None:
    asked = sa.make_url(with_client(ADDRESS, "/opt/oracle"))
    assert (asked.query["thick_mode"], asked.query["thick_mode_lib_dir"]) == ("true", "/opt/oracle")
    for other in (f"{ADDRESS}&thick_mode=false", "postgresql://h/db", "sqlite:////x.gpkg"):
        assert with_client(other, "/opt/oracle") == other
    assert with_client(ADDRESS, "") == ADDRESS


def test_the_real_driver_without_its_libraries_says_what_to_install(tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text(f"database: {ADDRESS}\noracle_client_lib_dir: {tmp_path}/instantclient\n", "utf-8")
    done = CliRunner().invoke(cli, ["db", "status", "-k", str(config)], catch_exceptions=False)
    assert done.exit_code == 2
    assert f"cannot be loaded from {tmp_path}/instantclient (DPI-1047" in done.output
    assert "Install Oracle Instant Client" in done.output
    assert "hunter2" not in done.output
