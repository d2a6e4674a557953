"""What to do about errors of Oracle that say little by themselves: one sentence per situation.

The error's innermost known code counts, since the driver wraps what a listener says in errors of its own.
"""

from __future__ import annotations

from typing import Final

_THICK: Final = (
    "Use thick mode: install Oracle Instant Client, and name its folder in oracle_client_lib_dir (or thick_mode and "
    "thick_mode_lib_dir in Airflow's Connection)"
)
_SERVICE: Final = (
    "Ask the database's administrator for the service name (`lsnrctl services` lists them) and correct it; a database "
    "that is just starting registers within a minute"
)
_TNS: Final = (
    "Correct the alias, or name the folder of tnsnames.ora in TNS_ADMIN or config_dir; or give the address as "
    "host:port/service"
)
_CERTIFICATE: Final = (
    "Name the folder of the wallet (ewallet.pem) that knows the server's certificate in wallet_location, or have the "
    "administrator renew the certificate"
)
_DN: Final = (
    "Give the name of the certificate in ssl_server_cert_dn, or have the administrator correct the certificate; "
    "connect under the name that it holds"
)

_ENCRYPTION: Final = "Native Network Encryption"  # words of DPY-3001, which stands for other features as well

# (codes or words of a message, what is the matter, what to do)
_SITUATIONS: Final = (
    (
        (_ENCRYPTION, "ORA-12660", "ORA-12650", "ORA-12649", "ORA-12685", "ORA-12686", "ORA-12599"),
        "the server demands native network encryption, which the driver has in thick mode only",
        f"{_THICK}; or have the administrator offer TLS (tcps://)",
    ),
    (("DPY-3010",), "the server is older than Oracle 12.1, which the driver reaches in thick mode only", _THICK),
    (
        ("DPY-3015", "ORA-28040"),
        "the server and the driver have no common way of checking the password",
        f"Have the administrator set the user's password again (its verifier is that of Oracle 10). {_THICK} if the "
        "server is old",
    ),
    (
        ("ORA-28547", "ORA-28546"),
        "what listens at this address does not speak with this client",
        f"Check host and port; a gateway or an old server may need thick mode. {_THICK}",
    ),
    (("DPY-6001", "ORA-12514"), "the listener does not know this service name", _SERVICE),
    (("DPY-6003", "ORA-12505"), "the listener does not know this SID", f"Use the service name instead. {_SERVICE}"),
    (("ORA-12154", "DPY-4000", "DPY-4026", "DPY-4027"), "the TNS alias is not found", _TNS),
    (
        ("DPY-4017", "DPY-4018", "DPY-4021"),
        "the driver cannot read the address",
        "Give host:port/service, a TNS alias, or a whole (DESCRIPTION=…)",
    ),
    (
        ("DPY-2018",),
        "the wallet is not in its folder",
        "wallet_location must hold ewallet.pem (thin mode) or cwallet.sso (thick mode)",
    ),
    (("DPY-6002", "DPY-6006", "ORA-29003"), "the server's certificate is for another name", _DN),
    (
        ("CERTIFICATE_VERIFY_FAILED", "DPY-6008", "ORA-29024"),
        "the server's TLS certificate is not accepted",
        _CERTIFICATE,
    ),
    (
        ("[SSL", "ORA-28860", "ORA-28864"),
        "what listens at this address does not speak TLS with this client",
        "Check that the port is that of tcps (often 2484), and that driver and server have a version of TLS in common",
    ),
    (("ORA-28759",), "the wallet cannot be opened", "Check wallet_location and its permissions"),
    (("ORA-1017",), "user or password is wrong", "Store the right ones with `anonymise db configure`"),
    (("ORA-28000",), "the account is locked", "Have the administrator unlock it (ALTER USER … ACCOUNT UNLOCK)"),
    (("ORA-28001",), "the password has expired", "Set a new one (ALTER USER … IDENTIFIED BY …), and store it here"),
    (("ORA-1045",), "the user may not log in", "Have the administrator GRANT CREATE SESSION to it"),
)


def situation(codes: list[str], text: str) -> tuple[str, str] | None:
    """What is the matter, and what to do, for an error with these codes (outermost first); None if nothing is known."""
    if "DPY-3001" in codes and _ENCRYPTION not in text:
        return "the driver has this in thick mode only", _THICK
    for known, matter, todo in _SITUATIONS:
        if any(code in known for code in codes) or any(words in text for words in known if "-" not in words):
            return matter, todo
    return None
