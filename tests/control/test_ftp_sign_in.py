r"""Who may come in by FTP: the same credentials as for the SCM site, by the state of FTP and its own switch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.control.ftp_sign_in import ftp_user

from .running import Control

PASSWORD = "a shared password"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shop\\$shop", ("shop", "$shop")),
        ("shop/$shop", ("shop", "$shop")),
        ("Shop\\$Shop", ("shop", "$Shop")),
        ("$shop", ("shop", "$shop")),
        ("shop\\ada", ("shop", "ada")),
        ("shop\\other\\$other", ("shop", "other\\$other")),
        ("shop", ("", "")),
        ("", ("", "")),
        ("$", ("", "")),
        ("\\$shop", ("", "")),
        ("../x\\$shop", ("", "")),
        ("..\\$shop", ("", "")),
        ("$../x", ("", "")),
        ("a\0b\\$shop", ("", "")),
    ],
)
def test_site_and_user_are_read_from_each_form(text: str, expected: tuple[str, str]) -> None:
    assert ftp_user(text) == expected


@given(st.text())
def test_no_text_names_anything_but_a_site(text: str) -> None:
    site, _ = ftp_user(text)
    assert all(letter.isalnum() or letter == "-" for letter in site)


def sign_in(
    control: Control,
    user: str,
    password: str,
    status: int,
    *,
    encrypted: bool = True,
    client: str = "192.0.2.7",
) -> dict[str, object]:
    question = {"user": user, "password": password, "client": client, "encrypted": encrypted}
    answer = control.auth.post("/ftp/sign-in", json=question)
    assert answer.status_code == status
    return answer.json() if status == 200 else {}


def made(control: Control, name: str) -> str:
    password: str = control.call("POST", "/sites", 201, name=name)["publishing"]["password"]
    return password


def test_the_sites_own_user_and_the_user_of_all_sites_come_in(control: Control) -> None:
    password = made(control, "shop")
    control.call("PUT", "/publishing-user", publishingUserName="ada", publishingPassword=PASSWORD)

    found = {"site": "shop", "user": "$shop", "plain_allowed": False}
    for user in ("shop\\$shop", "shop/$shop", "$shop", "SHOP\\$Shop"):
        assert sign_in(control, user, password, 200) == found
    assert sign_in(control, "shop\\ada", PASSWORD, 200)["user"] == "ada"


def test_credentials_of_another_site_open_nothing(control: Control) -> None:
    password, others = made(control, "shop"), made(control, "other")

    for user in ("shop\\$shop", "shop\\$other", "shop/$other", "$shop"):
        sign_in(control, user, others, 401)
    for user in ("other\\$shop", "nobody\\$shop", "$nobody", "shop", ""):
        sign_in(control, user, password, 401)


def test_its_switch_and_its_state_close_ftp(control: Control) -> None:
    password = made(control, "shop")

    control.call("PATCH", "/sites/shop/basic-auth", ftp=False)
    sign_in(control, "$shop", password, 401)
    control.call("PATCH", "/sites/shop/basic-auth", ftp=True, scm=False)
    sign_in(control, "$shop", password, 200)
    control.call("PATCH", "/sites/shop", config={"ftps_state": "Disabled"})
    sign_in(control, "$shop", password, 401)
    control.call("PATCH", "/sites/shop", 400, config={"ftps_state": "Sometimes"})


def test_a_password_in_plain_text_is_for_sites_that_allow_it(control: Control) -> None:
    password = made(control, "shop")

    sign_in(control, "$shop", password, 401, encrypted=False)
    assert control.auth.post("/ftp/plain", json={"user": "$shop"}).status_code == 403
    assert control.auth.post("/ftp/plain", json={"user": "$nobody"}).status_code == 403

    control.call("PATCH", "/sites/shop", config={"ftps_state": "AllAllowed"})
    assert sign_in(control, "$shop", password, 200, encrypted=False)["plain_allowed"] is True
    assert control.auth.post("/ftp/plain", json={"user": "shop/$shop"}).status_code == 200


def test_who_guesses_by_ftp_has_to_wait_everywhere(control: Control) -> None:
    password = made(control, "guessed")
    for _ in range(10):
        sign_in(control, "$guessed", "wrong", 401, client="192.0.2.66")

    sign_in(control, "$guessed", password, 403, client="192.0.2.66")
    assert control.authorize("guessed", "$guessed", password, "192.0.2.66").status_code == 403
    sign_in(control, "$guessed", password, 200, client="192.0.2.67")
