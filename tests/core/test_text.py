"""Remove credentials and control characters from text."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import URL

from anonymisation.core.text import encodable, hide_credentials, one_line

SECRET = "hemmelig-7"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://user:{SECRET}@host/db",
        f"(oracle+oracledb://user:{SECRET}@host:1521/?service_name=x)",
        f"redis://:{SECRET}@host",
        f"postgresql://user:p@{SECRET}@host/db",
        f"mssql://host/db?user=x&password={SECRET}&encrypt=yes",
        f"could not connect with Password: {SECRET}",
        f'{{"password": "{SECRET}", "host": "x"}}',
        f"connect(host='x', pwd='{SECRET}')",
        f"api_token={SECRET}",
        f"tcps://host/x?wallet_location=/w&wallet_password={SECRET}&x=y",
        f"postgresql://h/db?sslpassword={SECRET}",
        f"(SECURITY=(WALLET_PASSWORD = {SECRET}))",
        f'DPY-4018: cannot parse connect string "roads/{SECRET}@host:1521/x"',
        f"roads/{SECRET}@//host/x",
        f"dsn=roads/{SECRET}@(DESCRIPTION=(ADDRESS=(HOST=a)))",
    ],
)
def test_passwords_are_hidden_everywhere(text: str) -> None:
    hidden = hide_credentials(text)
    assert SECRET not in hidden
    assert "***" in hidden


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////state/pictures.db",
        "Østfold/E6@2021/x.jpg: masked",
        "/captures/E6/strip@3/picture.jpg",
        "postgresql://user@host/db",
        "mail to a@b.no about 10:30",
        "http://localhost:8080/x",
        "the password is not shown",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert hide_credentials(text) == text


@given(st.text(min_size=4).filter(lambda text: "*" not in text and text.strip()))
def test_known_secrets_are_hidden_in_every_form(secret: str) -> None:
    try:
        quoted = quote(secret, safe="")
    except UnicodeEncodeError:
        quoted = secret
    hidden = hide_credentials(f"<<{secret}>> <<{quoted}>>", [secret])
    assert hidden == "<<***>> <<***>>"


def test_hiding_twice_changes_nothing() -> None:
    once = hide_credentials(f"x://u:{SECRET}@h password={SECRET}")
    assert hide_credentials(once) == once


@given(st.text())
def test_one_line_is_one_encodable_line(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert line.isprintable()
    line.encode("utf-8")


def test_one_line_keeps_letters_of_all_languages() -> None:
    assert one_line("Damåsen 東京 %#{}") == "Damåsen 東京 %#{}"


def test_encodable_escapes_surrogates() -> None:
    assert encodable("a\udcffb") == r"a\udcffb"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=6, max_size=20))
def test_a_secret_is_hidden_in_the_form_of_sqlalchemy(password: str) -> None:
    shown = URL.create("postgresql", "reader", password, "host").render_as_string(hide_password=False)
    inside = shown.removeprefix("postgresql://reader:").removesuffix("@host")
    for text in (shown, f"cannot use {inside} here"):
        assert inside not in hide_credentials(text, [password])
