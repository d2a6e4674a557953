"""Options of an Oracle connection that do not need its driver: thick mode for an address, from the configuration."""

from __future__ import annotations

from typing import Final

from sqlalchemy.engine import URL, make_url

# Thick mode, with the names of Airflow's Oracle provider; and arguments of oracledb.connect that an address may set.
CLIENT_OPTIONS: Final = ("thick_mode", "thick_mode_lib_dir", "thick_mode_config_dir")
TEXT_OPTIONS: Final = (
    "cclass", "config_dir", "connection_id_prefix", "edition", "https_proxy", "pool_name", "ssl_server_cert_dn",
    "wallet_location", "wallet_password",
)  # fmt: skip
NUMBER_OPTIONS: Final = ("expire_time", "https_proxy_port", "retry_count", "retry_delay", "sdu", "stmtcachesize")
SWITCHES: Final = ("disable_oob", "events", "externalauth", "ssl_server_dn_match", "use_sni")
CONSTANT_OPTIONS: Final = ("mode", "purity")
OPTIONS: Final = (
    *CLIENT_OPTIONS, *TEXT_OPTIONS, *NUMBER_OPTIONS, *SWITCHES, *CONSTANT_OPTIONS, "tcp_connect_timeout"
)  # fmt: skip
SYSTEM: Final = "system"  # in place of a folder: the libraries that the operating system finds

_TRUE: Final = frozenset(("true", "yes", "on", "1"))
_FALSE: Final = frozenset(("false", "no", "off", "0", ""))


def as_bool(text: object) -> bool:
    """The truth value of a text, as people write it.

    Raises:
        ValueError: it is none.
    """
    lowered = str(text).strip().lower()
    if lowered not in _TRUE | _FALSE:
        raise ValueError("expected true or false")
    return lowered in _TRUE


def with_client(url: str | URL, lib_dir: str) -> str | URL:
    """`url` with thick mode and Oracle's client libraries in `lib_dir`, if it is an Oracle URL that names no mode.

    `lib_dir` is the value of the key `oracle_client_lib_dir`; empty: unchanged.
    """
    if not lib_dir or not str(url).startswith("oracle"):
        return url
    parsed = make_url(url)
    if parsed.get_backend_name() != "oracle" or "thick_mode" in parsed.query or "thick_mode_lib_dir" in parsed.query:
        return url
    return parsed.update_query_dict({"thick_mode": "true", "thick_mode_lib_dir": lib_dir})
