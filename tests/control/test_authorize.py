import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.control.authorize import basic_credentials, matching_user
from homeport.control.store.publishing import PublishingAccess
from homeport.model.secret import Secret

from .running import Control

STORED = PublishingAccess(
    user="$hello", password=Secret("pässword"), shared=("Ada", Secret("a shared password"))
)


def header(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("user", ["$hello", "$HELLO", "hello\\$hello", "Hello\\$Hello"])
def test_the_site_level_user_is_accepted_in_all_its_spellings(user: str) -> None:
    assert matching_user("hello", user, "pässword", STORED) == "$hello"


@pytest.mark.parametrize("user", ["Ada", "ada", "hello\\ADA"])
def test_the_user_of_all_sites_is_accepted(user: str) -> None:
    assert matching_user("hello", user, "a shared password", STORED) == "Ada"


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("hello", "pässword"),
        ("$hello", "Pässword"),
        ("$hello", ""),
        ("", ""),
        ("", "no site has this password"),
        ("$other", "pässword"),
        ("$hello", "a shared password"),
        ("Ada", "pässword"),
        ("other\\Ada", "a shared password"),
    ],
)
def test_anything_else_is_refused(user: str, password: str) -> None:
    assert matching_user("hello", user, password, STORED) is None
    alone = PublishingAccess(user="$hello", password=Secret("pässword"))
    assert matching_user("hello", user, password, alone) is None


def test_whatever_is_wrong_the_same_comparisons_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credential timing: neither the site, nor the user, nor a right beginning changes how much is done."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("homeport.model.secret.hmac.compare_digest", compare)
    counts = set()
    alone = PublishingAccess(user="$hello", password=Secret("pässword"))
    for access in (STORED, alone, None):
        for user, password in (("$hello", "pässword"), ("$hello", "x"), ("x", "pässword"), ("", "")):
            compared.clear()
            matching_user("hello", user, password, access)
            counts.add(len(compared))

    assert counts == {4}


def test_an_unknown_site_has_no_credentials() -> None:
    assert matching_user("nobody", "", "no site has this password", None) is None


@given(st.text().filter(lambda text: ":" not in text), st.text())
def test_any_user_and_password_are_read(user: str, password: str) -> None:
    try:
        text = header(f"{user}:{password}")
    except UnicodeEncodeError:
        return

    assert basic_credentials(text) == (user, password)


@pytest.mark.parametrize(
    "text", ["", "Basic", "Basic !!!", "Basic /w==", "Bearer abc", header("no colon"), "basic"]
)
def test_what_is_no_basic_authorization_is_none(text: str) -> None:
    assert basic_credentials(text) is None


@given(st.text())
def test_no_header_breaks_the_reader(text: str) -> None:
    basic_credentials(text)
    basic_credentials("Basic " + text)


def test_the_right_credentials_open_the_scm_site(control: Control) -> None:
    site = control.call("POST", "/sites", 201, name="hello")["publishing"]

    answer = control.authorize("hello", site["user"], site["password"])

    assert (answer.status_code, answer.headers["X-Homeport-User"]) == (200, "$hello")


def test_without_credentials_a_client_is_asked_for_them(control: Control) -> None:
    control.call("POST", "/sites", 201, name="hello")

    answer = control.auth.get("/authorize", headers={"X-Homeport-Site": "hello"})

    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="site"')


def test_the_credentials_of_one_site_do_not_open_another(control: Control) -> None:
    site = control.call("POST", "/sites", 201, name="hello")["publishing"]
    control.call("POST", "/sites", 201, name="other")

    assert control.authorize("other", site["user"], site["password"]).status_code == 401


def test_a_deleted_site_is_closed(control: Control) -> None:
    site = control.call("POST", "/sites", 201, name="hello")["publishing"]
    control.call("DELETE", "/sites/hello", 204)

    assert control.authorize("hello", site["user"], site["password"]).status_code == 401


def test_a_guesser_is_blocked_and_the_owner_elsewhere_is_not(control: Control) -> None:
    site = control.call("POST", "/sites", 201, name="hello")["publishing"]
    for number in range(12):
        control.authorize("hello", "$hello", f"guess {number}", "198.51.100.9")

    guessed = control.authorize("hello", "$hello", "guess", "198.51.100.9")
    own = control.authorize("hello", site["user"], site["password"], "192.0.2.1")

    assert (guessed.status_code, own.status_code) == (403, 200)


def test_no_password_reaches_the_log(control: Control) -> None:
    site = control.call("POST", "/sites", 201, name="hello")["publishing"]
    control.authorize("hello", "$hello", "a-mistyped-password")
    control.authorize("hello", site["user"], site["password"])

    log = (control.folder / "control.log").read_text()

    assert "scm.refused" in log
    assert "a-mistyped-password" not in log
    assert site["password"] not in log
