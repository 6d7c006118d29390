"""Browser sessions, their protection against forged requests, and tokens for scripts (Kudu reference §11)."""

import re
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.control.browser_requests import own_path, sign_in_address

from .memory_agent import MemoryAgent, serving
from .running import Control, accepts, eventually, running_control

ORIGIN = "http://hello.scm.localhost:8080"
BROWSER = {
    "X-Homeport-Site": "hello",
    "X-Real-IP": "192.0.2.1",
    "X-Forwarded-Host": "hello.scm.localhost:8080",
    "X-Forwarded-Proto": "http",
    "X-Original-Method": "GET",
    "X-Original-URI": "/",
}
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}


def password_of(control: Control, name: str = "hello") -> str:
    password: str = control.call("POST", "/sites", 201, name=name)["publishing"]["password"]
    return password


def post(control: Control, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
    # A client of its own: httpx would keep the cookies.
    return control.auth.post(path, data=fields, headers={**BROWSER, "Origin": ORIGIN, **headers})


def sign_in(control: Control, password: str, **headers: str) -> httpx.Response:
    answer = post(
        control, "/sign-in", {"user": "$hello", "password": password, "next": "/DebugConsole"}, **headers
    )
    control.auth.cookies.clear()
    return answer


def cookie_of(answer: httpx.Response) -> str:
    return answer.headers["set-cookie"].split(";")[0]


def ask(control: Control, cookie: str, **headers: str) -> httpx.Response:
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    return control.auth.get("/authorize", headers={**BROWSER, "Cookie": cookie, **changed})


@pytest.fixture
def password(control: Control) -> str:
    return password_of(control)


@pytest.fixture
def cookie(control: Control, password: str) -> str:
    return cookie_of(sign_in(control, password))


def test_a_person_is_led_to_the_sign_in_page_and_on_to_where_they_wanted(
    control: Control, password: str
) -> None:
    headers = {**BROWSER, **NAVIGATION, "X-Original-URI": "/DebugConsole?shell=bash"}
    answer = control.auth.get("/authorize", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["x-homeport-sign-in"] == "/.homeport/sign-in?next=/DebugConsole%3Fshell%3Dbash"
    assert "www-authenticate" not in answer.headers
    assert sign_in(control, password).headers["location"] == "/DebugConsole"


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "*/*", "User-Agent": "python-requests/2.32"},
        {"Sec-Fetch-Mode": "cors", "Accept": "text/html", "User-Agent": "Mozilla/5.0"},
        {**NAVIGATION, "X-Original-URI": "/basicauth"},
        {**NAVIGATION, "X-Original-Method": "POST"},
    ],
)
def test_clients_are_challenged_as_before(control: Control, password: str, headers: dict[str, str]) -> None:
    answer = control.auth.get("/authorize", headers={**BROWSER, **headers})

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="site"')
    assert "x-homeport-sign-in" not in answer.headers


def test_the_sign_in_page_loads_nothing_and_cannot_be_framed(control: Control) -> None:
    page = control.auth.get("/sign-in?next=%22%3E%3Cscript%3E", headers={**BROWSER, "X-Homeport-Site": "<b>"})

    assert "<script" not in page.text
    assert "<b>" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"


def test_the_name_that_was_typed_stays_and_is_no_markup(control: Control, password: str) -> None:
    answer = post(control, "/sign-in", {"user": 'ada"><b>', "password": "wrong"})

    assert answer.status_code == 401
    assert 'value="ada&quot;&gt;&lt;b&gt;"' in answer.text
    assert "wrong" not in answer.text


def test_the_session_cookie_is_out_of_reach_for_scripts_and_other_sites(
    control: Control, password: str
) -> None:
    plain = sign_in(control, password).headers["set-cookie"]
    secure = sign_in(
        control, password, **{"X-Forwarded-Proto": "https", "Origin": ORIGIN.replace("http", "https")}
    )

    assert re.fullmatch(r"homeport_scm=[\w-]{43}; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax", plain)
    assert secure.headers["set-cookie"].startswith("__Host-homeport=")
    assert secure.headers["set-cookie"].endswith("; HttpOnly; SameSite=Lax; Secure")


def test_a_session_opens_its_own_site_alone(control: Control, cookie: str) -> None:
    password_of(control, "other")

    own = ask(control, cookie)
    other = ask(control, cookie, X_Homeport_Site="other", X_Forwarded_Host="other.scm.localhost:8080")

    assert (own.status_code, own.headers["x-homeport-user"]) == (200, "$hello")
    assert other.status_code == 401


def test_a_planted_cookie_of_the_same_name_shuts_nobody_out(control: Control, cookie: str) -> None:
    assert ask(control, f"homeport_scm=planted; {cookie}").status_code == 200
    assert ask(control, "homeport_scm=planted").status_code == 401


CHANGE = {"X_Original_Method": "POST", "X_Original_URI": "/api/command"}


def test_a_change_needs_the_sessions_token_and_its_origin(control: Control, cookie: str) -> None:
    token = ask(control, cookie).headers["x-homeport-csrf"]
    own = {"Origin": ORIGIN, "Sec_Fetch_Site": "same-origin"}

    assert ask(control, cookie, **CHANGE, **own, X_CSRF_Token=token).status_code == 200
    assert ask(control, cookie, **CHANGE, **own).status_code == 403
    assert ask(control, cookie, **CHANGE, **own, X_CSRF_Token=token[::-1]).status_code == 403
    assert ask(control, cookie, **CHANGE, X_CSRF_Token=token).status_code == 403
    for elsewhere in (
        {"Origin": "http://other.scm.localhost:8080"},
        {"Origin": "http://hello.localhost:8080"},
        {"Origin": "https://hello.scm.localhost:8080"},
        {"Origin": "http://hello.scm.localhost"},
        {"Origin": "null"},
        {"Origin": ORIGIN, "Sec_Fetch_Site": "same-site"},
    ):
        assert ask(control, cookie, **CHANGE, **elsewhere, X_CSRF_Token=token).status_code == 403


def test_pages_of_an_extensions_application_need_no_token_but_their_origin(
    control: Control, cookie: str
) -> None:
    application = {**CHANGE, "X_Homeport_Application": "1"}

    assert ask(control, cookie, **application, Origin=ORIGIN).status_code == 200
    assert ask(control, cookie, **application).status_code == 403
    assert ask(control, cookie, **application, Origin="http://evil.example").status_code == 403
    assert ask(control, "", **application, Origin=ORIGIN).status_code == 401


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "MERGE"])
def test_every_verb_that_may_change_something_is_guarded(control: Control, cookie: str, method: str) -> None:
    assert ask(control, cookie, X_Original_Method=method, Origin=ORIGIN).status_code == 403


def test_a_websocket_needs_the_origin(control: Control, cookie: str) -> None:
    upgrade = {"X_Homeport_Upgrade": "websocket"}

    assert ask(control, cookie, **upgrade, Origin=ORIGIN).status_code == 200
    assert ask(control, cookie, **upgrade).status_code == 403
    assert ask(control, cookie, **upgrade, Origin="http://evil.example").status_code == 403


def test_a_remembered_password_does_not_let_other_sites_pages_in(control: Control, password: str) -> None:
    headers = {**BROWSER, "X-Original-Method": "POST", "Origin": "http://evil.example"}

    assert control.auth.get("/authorize", headers=headers, auth=("$hello", password)).status_code == 403


def test_signing_out_ends_the_session_on_the_server(control: Control, cookie: str) -> None:
    looked = control.auth.get("/sign-out", headers={**BROWSER, "Cookie": cookie})
    assert (looked.status_code, ask(control, cookie).status_code) == (200, 200)

    answer = post(control, "/sign-out", {}, Cookie=cookie)

    assert (answer.status_code, answer.headers["location"]) == (303, "/.homeport/sign-in")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert ask(control, cookie).status_code == 401


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", ""])
def test_nobody_is_signed_in_or_out_from_elsewhere(
    control: Control, password: str, path: str, origin: str
) -> None:
    headers = {**BROWSER, **({"Origin": origin} if origin else {})}
    fields = {"user": "$hello", "password": password}

    answer = control.auth.post(path, data=fields, headers=headers)

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_new_password_ends_every_session(control: Control, cookie: str) -> None:
    control.call("POST", "/sites/hello/newpassword")

    assert ask(control, cookie).status_code == 401


def test_sessions_outlive_a_restart_of_the_control_plane(folder: Path, agent: MemoryAgent) -> None:
    with serving(agent, folder / "agent.sock"):
        eventually(lambda: accepts(folder / "agent.sock"))
        with running_control(folder) as control:
            cookie = cookie_of(sign_in(control, password_of(control)))
            control.kill()
        with running_control(folder) as control:
            assert ask(control, cookie).status_code == 200


def test_guessing_through_the_form_is_slowed_down_and_the_owner_stays_in(
    control: Control, cookie: str, password: str
) -> None:
    guesser = {"X-Real-IP": "192.0.2.77"}
    for number in range(11):
        assert sign_in(control, f"guess {number}", **guesser).status_code in {401, 429}

    blocked = sign_in(control, password, **guesser)

    assert (blocked.status_code, blocked.headers["retry-after"]) == (429, "60")
    assert ask(control, cookie, X_Real_IP="192.0.2.77").status_code == 200
    assert sign_in(control, password).status_code == 303


def test_a_form_that_is_none_signs_nobody_in(control: Control, password: str) -> None:
    headers = {**BROWSER, "Origin": ORIGIN}
    for body in (b"\xff\xfe", b"x" * 20_000, b"user=%24hello", b""):
        assert control.auth.post("/sign-in", content=body, headers=headers).status_code == 401


def test_no_secret_reaches_log_or_database(control: Control, password: str, cookie: str) -> None:
    token = control.call("POST", "/sites/hello/tokens", 201, name="ci")["token"]
    bearer(control, token)
    bearer(control, token + "x")

    kept = b"".join(path.read_bytes() for path in control.folder.rglob("*") if path.is_file())
    for secret in (cookie.partition("=")[2], token, password):
        assert secret.encode() not in kept


# Tokens for scripts


def bearer(control: Control, token: str, site: str = "hello") -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "X-Homeport-Site": site, "X-Original-Method": "POST"}
    return control.auth.get("/authorize", headers={**BROWSER, **headers})


def test_a_token_opens_its_site_until_it_is_removed(control: Control, password: str) -> None:
    password_of(control, "other")
    made = control.call("POST", "/sites/hello/tokens", 201, name="ci", days=30)

    assert bearer(control, made["token"]).headers["x-homeport-user"] == "ci"
    assert bearer(control, made["token"], "other").status_code == 401
    assert made["expires"] - made["created"] == 30 * 86_400
    listed = control.call("GET", "/sites/hello/tokens")["tokens"]
    assert [sorted(each) for each in listed] == [["created", "expires", "name"]]

    control.call("DELETE", "/sites/hello/tokens/ci", 204)
    assert bearer(control, made["token"]).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 81},
        {"name": "a\nb"},
        {"name": "x", "days": 0},
        {"name": "x", "days": "1"},
    ],
)
def test_a_token_that_cannot_be_is_refused(control: Control, password: str, body: dict[str, object]) -> None:
    control.call("POST", "/sites/hello/tokens", 400, **{"days": 1, **body})


def test_a_second_token_of_a_name_and_a_missing_one_are_refused(control: Control, password: str) -> None:
    control.call("POST", "/sites/hello/tokens", 201, name="ci")

    control.call("POST", "/sites/hello/tokens", 409, name="ci")
    control.call("DELETE", "/sites/hello/tokens/none", 404)
    control.call("POST", "/sites/none/tokens", 404, name="ci")


def test_a_session_is_no_bearer_token_and_a_token_no_session(
    control: Control, password: str, cookie: str
) -> None:
    token = control.call("POST", "/sites/hello/tokens", 201, name="ci")["token"]

    assert bearer(control, cookie.partition("=")[2]).status_code == 401
    assert ask(control, f"homeport_scm={token}").status_code == 401


# Where one is led


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "",
        "x",
        "/a\r\nb",
        "/a b",
        "/é",
    ],
)
def test_nobody_is_led_elsewhere(target: str) -> None:
    assert own_path(target) == "/"


@given(st.text())
def test_a_target_is_a_path_of_this_host_or_the_home_page(target: str) -> None:
    found = own_path(target)

    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))
    assert found.isascii()
    assert found.isprintable()


@given(st.text(alphabet=st.characters(max_codepoint=126, min_codepoint=33)))
def test_the_sign_in_address_is_safe_in_a_header(text: str) -> None:
    address = sign_in_address(f"/{text}")

    assert re.fullmatch(r"[\w/.?=%~-]+", address)
    assert address == "/.homeport/sign-in" or address.endswith(quote(text, safe="/"))
