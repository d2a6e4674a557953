"""Stored connections: the file, its key, and whoever meddles with either."""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backends.fail
import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from keyring.backend import KeyringBackend
from sqlalchemy import create_engine

from anonymisation.core.errors import ConfigurationError
from anonymisation.database.connections import (
    ConnectionStore,
    StoredConnection,
    connection_url,
    default_folder,
    secrets_of,
    with_wallet_password,
    without_secrets,
)
from anonymisation.database.keys import KEYRING, Key, find_key, find_or_make_key, make_key

PASSWORD = "p@ss:w/rd %40 æ"
ORACLE = StoredConnection("roads", "db.example:1521/XEPDB1", "loader", "VEG", "VEGBILDER")


class MemoryKeyring(KeyringBackend):
    """A keyring that keeps what it is given; keyring's own are those of desktops."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


@pytest.fixture(autouse=True)
def no_keyring() -> Iterator[None]:
    """As on a server; a person's own keyring is never touched by a test."""
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.fail.Keyring())  # type: ignore[no-untyped-call]
    yield
    keyring.set_keyring(before)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Key:
    """A key, as ORACLE_KEY gives it."""
    monkeypatch.setenv("ORACLE_KEY", make_key())
    return find_key()


@pytest.fixture
def store(tmp_path: Path) -> ConnectionStore:
    return ConnectionStore(tmp_path / "connections")


def test_what_is_stored_comes_back_with_its_password(store: ConnectionStore, key: Key) -> None:
    store.save(ORACLE, PASSWORD, key)
    assert store.read("roads") == ORACLE
    url = store.unlock("roads")
    assert (url.username, url.password, url.host, url.port) == ("loader", PASSWORD, "db.example", 1521)
    assert dict(url.query) == {"service_name": "XEPDB1"}
    assert store.names() == ["roads"]


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_any_password_survives(tmp_path_factory: pytest.TempPathFactory, password: str) -> None:
    store, key = ConnectionStore(tmp_path_factory.mktemp("connections")), make_key()
    store.save(ORACLE, password, Key(key, "test"))
    assert store.unlock("roads", {"ORACLE_KEY": key}).password == password


def test_the_file_is_the_owner_s_alone_and_does_not_hold_the_password(store: ConnectionStore, key: Key) -> None:
    before = os.umask(0)  # the most generous there is
    try:
        path = store.save(ORACLE, PASSWORD, key)
        store.save(ORACLE, PASSWORD, key)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["roads.json"]
    text = path.read_text("utf-8")
    assert PASSWORD not in text
    assert key.text not in text
    assert json.loads(text)["dsn"] == "db.example:1521/XEPDB1"  # for people to read


def test_no_file_that_others_may_read_exists_at_any_moment(
    store: ConnectionStore, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    replace = Path.replace

    def noted(path: Path, target: Path) -> Path:
        modes.append(stat.S_IMODE(path.stat().st_mode))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", noted)
    store.save(ORACLE, PASSWORD, key)
    assert modes == [0o600]


def test_a_file_that_others_may_read_is_warned_of(
    store: ConnectionStore, key: Key, caplog: pytest.LogCaptureFixture
) -> None:
    path = store.save(ORACLE, PASSWORD, key)
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        store.unlock("roads")
    assert f"{path}: others may read it; set its mode to 600" in caplog.messages


def test_another_key_is_told_from_a_damaged_file(
    store: ConnectionStore, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store.save(ORACLE, PASSWORD, key)
    monkeypatch.setenv("ORACLE_KEY", make_key())
    with pytest.raises(ConfigurationError, match="encrypted with another key than that of ORACLE_KEY"):
        store.unlock("roads")
    monkeypatch.setenv("ORACLE_KEY", key.text)
    content = json.loads(path.read_text())
    content["encrypted"] = content["encrypted"][:-8] + "AAAAAAA="
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match="its encrypted part is damaged"):
        store.unlock("roads")


@pytest.mark.parametrize(
    ("field", "value"),
    [("dsn", "evil.example:1521/XEPDB1"), ("user", "system"), ("schema", None), ("table", "PICTURES")],
)
def test_a_password_is_not_sent_where_it_was_not_meant_to_go(
    store: ConnectionStore, key: Key, field: str, value: str | None
) -> None:
    path = store.save(ORACLE, PASSWORD, key)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, field: value}))
    with pytest.raises(ConfigurationError, match=rf"was changed since it was made \({field}\)"):
        store.unlock("roads")


def test_without_its_encrypted_part_there_is_no_password_to_send(store: ConnectionStore, key: Key) -> None:
    path = store.save(ORACLE, PASSWORD, key)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "encrypted": None}))
    assert store.unlock("roads").password is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 2}', "\xff", '{"format": 1, "dsn": 7}'])
def test_what_is_no_connection_file_is_refused(store: ConnectionStore, key: Key, text: str) -> None:
    path = store.save(ORACLE, PASSWORD, key)
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match="make it again with `anonymise db configure`"):
        store.read("roads")


@pytest.mark.parametrize("name", ["", "..", "../roads", "a/b", ".hidden", "a\nb", "x" * 101])
def test_a_name_is_never_a_path(store: ConnectionStore, key: Key, name: str) -> None:
    with pytest.raises(ConfigurationError, match="expected letters, digits"):
        StoredConnection(name, "db.example:1521/X", "loader", None, "VEGBILDER")
    with pytest.raises(ConfigurationError, match="expected the name of a stored connection"):
        store.read(name)


def test_an_unknown_name_tells_which_there_are(store: ConnectionStore, key: Key) -> None:
    with pytest.raises(ConfigurationError, match="there are: none"):
        store.read("roads")
    store.save(ORACLE, PASSWORD, key)
    with pytest.raises(ConfigurationError, match="there are: roads"):
        store.read("rods")


def test_sqlite_needs_neither_password_nor_key(store: ConnectionStore, tmp_path: Path) -> None:
    store.save(StoredConnection("local", f"sqlite:///{tmp_path}/x.gpkg", None, None, "PICTURES"), None, None)
    assert store.unlock("local").database == f"{tmp_path}/x.gpkg"


def test_oracle_needs_a_user() -> None:
    with pytest.raises(ConfigurationError, match="needs a user"):
        StoredConnection("roads", "db.example:1521/X", None, None, "VEGBILDER")


# --- DSN --------------------------------------------------------------------------------------------------------------

EASY = "(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=db.example)(PORT={port}))(CONNECT_DATA=(SERVICE_NAME=XEPDB1)))"
DESCRIPTOR = "(DESCRIPTION=(ADDRESS=(PROTOCOL=tcps)(HOST=a)(PORT=2484))(CONNECT_DATA=(SERVICE_NAME=x)))"


@pytest.mark.parametrize(
    ("dsn", "sent"),
    [
        ("db.example:1522/XEPDB1", EASY.format(port=1522)),
        ("//db.example:1522/XEPDB1", EASY.format(port=1522)),
        ("db.example/XEPDB1", EASY.format(port=1521)),
        ("VEG_PROD", "VEG_PROD"),
        ("h1,h2:1521/XEPDB1", "h1,h2:1521/XEPDB1"),
        ("h1:1521,h2:1522;h3/XEPDB1", "h1:1521,h2:1522;h3/XEPDB1"),
        ("tcps://h1,h2:2484/XEPDB1", "tcps://h1,h2:2484/XEPDB1"),
        ("[::1]:1521/XEPDB1", "[::1]:1521/XEPDB1"),
        ("h:1521/XEPDB1:dedicated/one", "h:1521/XEPDB1:dedicated/one"),
        ("tcps://h/x?ssl_server_cert_dn=CN=x,E=a@b", "tcps://h/x?ssl_server_cert_dn=CN=x,E=a@b"),
        (
            '(DESCRIPTION=(SECURITY=(SSL_SERVER_CERT_DN="E=a@b")))',
            '(DESCRIPTION=(SECURITY=(SSL_SERVER_CERT_DN="E=a@b")))',
        ),
        (DESCRIPTOR, DESCRIPTOR),
        ("tcps://db.example:2484/XEPDB1?wallet_location=/w", "tcps://db.example:2484/XEPDB1?wallet_location=/w"),
        ("oracle://db.example:1522/?service_name=XEPDB1", EASY.format(port=1522)),
    ],
)
def test_what_the_driver_of_oracle_is_given(dsn: str, sent: str) -> None:
    url = connection_url(dsn, "loader", PASSWORD)
    _, parts = create_engine(url.set(drivername="oracle+oracledb")).dialect.create_connect_args(url)
    assert parts == {"dsn": sent, "user": "loader", "password": PASSWORD}


def test_an_sqlalchemy_url_takes_user_and_password() -> None:
    url = connection_url("postgresql://db.example:5433/roads?sslmode=require", "loader", PASSWORD)
    assert (url.username, url.password, url.port, url.database) == ("loader", PASSWORD, 5433, "roads")
    assert dict(url.query) == {"sslmode": "require"}


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://loader:hemmelig-7@h/db",
        "postgresql://h/db?password=hemmelig-7",
        "postgresql://h/db?%70ASSword=hemmelig-7",
        "postgresql://h/db?sslmode=require&sslpassword=hemmelig-7",
        "host=h dbname=db password = hemmelig-7",
        "oracle://h/?service_name=x&wallet_password=hemmelig-7",
        "roads/hemmelig-7@host/x",
        "roads/hemmelig-7@host:1521/x",
        "roads/hemmelig-7@//host/x",
        "roads/hemmelig-7@PROD",
        "roads/hemmelig-7@(DESCRIPTION=(ADDRESS=(HOST=a)))",
        "roads/hemm?elig-7@host/x",
        '"roads"/"hemmelig-7 @"@host/x',
        "roads[proxy]/hemmelig-7@host/x",
        "tcps://roads/hemmelig-7@host:2484/x?wallet_location=/w",
        "tcps://roads:hemmelig-7@host/x",
        "tcps://host/x?wallet_location=/w&wallet_password=hemmelig-7",
        "(DESCRIPTION=(ADDRESS=(HOST=a))(SECURITY=(WALLET_PASSWORD = hemmelig-7)))",
        "oracle://h/?service_name=x&https_proxy=http://me:hemmelig-7@proxy",
        "tcps://h:2484/x?https_proxy=http://me:hemmelig-7@proxy",
        "sys/hemmelig-7 as sysdba",
    ],
)
def test_a_dsn_with_a_password_is_refused_without_showing_it(dsn: str) -> None:
    with pytest.raises(ConfigurationError, match="holds a password") as refused:
        connection_url(dsn, None)
    assert "elig-7" not in str(refused.value)


def test_a_dsn_with_a_user_alone_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="give the user with --user"):
        connection_url("roads@host/x", "roads")


WALLET = StoredConnection(
    "tls", "tcps://h1,h2:2484/x", "loader", None, "PICTURES", {"wallet_location": "/etc/wallet", "thick_mode": "true"}
)


def test_options_are_kept_in_clear_and_the_password_of_the_wallet_is_not(store: ConnectionStore, key: Key) -> None:
    path = store.save(WALLET, PASSWORD, key, "hemmelig-8")
    assert "hemmelig-8" not in path.read_text("utf-8")
    assert store.read("tls") == WALLET
    url = store.unlock("tls")
    assert dict(url.query) == {"wallet_location": "/etc/wallet", "thick_mode": "true", "wallet_password": "hemmelig-8"}
    assert secrets_of(url) == (PASSWORD, "hemmelig-8")
    assert "hemmelig-8" not in without_secrets(url)
    assert "wallet_password" not in store.read("tls").url().query


def test_the_password_of_a_wallet_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    url = WALLET.url(PASSWORD)
    assert with_wallet_password(url) == url
    monkeypatch.setenv("ANONYMISATION_WALLET_PASSWORD", "hemmelig-8")
    assert with_wallet_password(url).query["wallet_password"] == "hemmelig-8"
    other = connection_url("postgresql://h/db", "loader")
    assert with_wallet_password(other) == other


@pytest.mark.parametrize("options", [{"wallet_location": "/mnt/theirs"}, {}, {"thick_mode": "true"}])
def test_options_that_were_changed_are_not_used(store: ConnectionStore, key: Key, options: dict[str, str]) -> None:
    path = store.save(WALLET, PASSWORD, key, "hemmelig-8")
    path.write_text(json.dumps({**json.loads(path.read_text()), "options": options}))
    with pytest.raises(ConfigurationError, match=r"was changed since it was made \(options\)"):
        store.unlock("tls")


def test_an_option_that_is_a_secret_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="holds a password") as refused:
        StoredConnection("tls", "h/x", "loader", None, "PICTURES", {"Wallet_Password": "hemmelig-7"})
    assert "hemmelig-7" not in str(refused.value)


@pytest.mark.parametrize("dsn", ["", "  ", "nonsense://h/db", "post gres://h:x/db"])
def test_nonsense_is_refused(dsn: str) -> None:
    with pytest.raises(ConfigurationError):
        connection_url(dsn, "loader")


# --- key --------------------------------------------------------------------------------------------------------------


def test_without_key_and_keyring_it_is_said_how_to_make_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORACLE_KEY", raising=False)
    for find in (find_key, find_or_make_key):
        with pytest.raises(ConfigurationError, match="make one with `anonymise db make-key`"):
            find()


def test_a_keyring_keeps_the_key_that_was_made_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORACLE_KEY", raising=False)
    keyring.set_keyring(MemoryKeyring())
    with pytest.raises(ConfigurationError, match="there is no key"):
        find_key()
    made = find_or_make_key()
    assert made.source == KEYRING
    assert find_or_make_key() == find_key() == made
    Fernet(made.text)


def test_the_environment_goes_before_the_keyring(key: Key) -> None:
    keyring.set_keyring(MemoryKeyring())
    assert find_or_make_key() == key
    assert key.source == "ORACLE_KEY"


@pytest.mark.parametrize("text", ["short", "x" * 44, "æ" * 44, "A" * 43 + "= A"])
def test_what_is_no_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ConfigurationError, match="not a Fernet key") as refused:
        find_key({"ORACLE_KEY": text})
    assert text not in str(refused.value)


def test_a_key_does_not_show_itself(key: Key) -> None:
    assert key.text not in repr(key)
    assert key.text[:12] not in key.fingerprint
    assert Key(make_key(), "test").fingerprint != key.fingerprint


def test_the_folder_can_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ANONYMISATION_CONNECTIONS_DIR", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert default_folder() == tmp_path / "config/image-anonymisation/connections"
    monkeypatch.setenv("ANONYMISATION_CONNECTIONS_DIR", str(tmp_path / "elsewhere"))
    assert default_folder() == tmp_path / "elsewhere"
