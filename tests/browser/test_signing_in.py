"""Signing in and out, and what other sites' pages cannot do (Kudu reference §11)."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from .conftest import SITE, Scm, sign_in

ATTACK = """<!doctype html><title>attack</title><body><script>
const done = [];
const target = {target!r};
async function tell(name, work) {{ try {{ done.push(name + ":" + await work()); }} catch (error) {{ done.push(name + ":refused"); }} }}
(async () => {{
  const body = JSON.stringify({{ command: "echo forged> D:\\\\\\\\home\\\\\\\\forged.txt" }});
  await tell("simple", async () => (await fetch(target + "/api/command", {{ method: "POST", mode: "no-cors", credentials: "include", body }})).type);
  await tell("json", async () => (await fetch(target + "/api/command", {{ method: "POST", credentials: "include", body, headers: {{ "Content-Type": "application/json" }} }})).status);
  await tell("put", async () => (await fetch(target + "/api/vfs/forged.txt", {{ method: "PUT", credentials: "include", body: "x" }})).status);
  await tell("read", async () => (await fetch(target + "/api/settings", {{ credentials: "include" }})).status);
  await tell("socket", () => new Promise((resolve, reject) => {{
    const socket = new WebSocket(target.replace("http", "ws") + "/api/homeport/terminal?shell=bash");
    socket.onopen = () => resolve("open"); socket.onerror = reject;
  }}));
  const frame = document.createElement("iframe");
  frame.src = target + "/DebugConsole"; document.body.append(frame);
  document.title = done.join(" ");
}})();
</script>"""


@contextmanager
def page_of_another_site(text: str) -> Iterator[int]:
    """Serve one page from another origin."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_arguments: object) -> None:
            """Be quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_one_is_led_through_the_sign_in_page_and_out_again(context: BrowserContext, scm: Scm) -> None:
    page = context.new_page()
    sign_in(page, scm, "/Env?values=true")
    assert page.url == f"{scm.address}/Env?values=true"
    (cookie,) = context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("homeport_scm", True, "Lax")

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert context.cookies() == []
    page.goto(f"{scm.address}/Env")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_wrong_password_is_told_and_may_be_tried_again(context: BrowserContext, scm: Scm) -> None:
    page = context.new_page()
    page.goto(scm.address)
    expect(page.get_by_label("User")).to_have_value(f"${SITE}")
    page.get_by_label("User").fill("ada")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not the site's publishing credentials")
    expect(page.get_by_label("User")).to_have_value("ada")
    expect(page.get_by_label("Password")).to_have_value("")
    sign_in(page, scm)


def test_a_page_of_another_site_can_do_nothing_with_the_session(
    page: Page, context: BrowserContext, scm: Scm
) -> None:
    with page_of_another_site(ATTACK.format(target=scm.address)) as port:
        for host in (f"127.0.0.1:{port}", f"{SITE}.localhost:{port}", f"other.scm.localhost:{port}"):
            attacker = context.new_page()
            attacker.goto(f"http://{host}/")
            expect(attacker).to_have_title(
                "simple:opaque json:refused put:refused read:refused socket:refused"
            )
            framed = attacker.frame_locator("iframe").get_by_text("Environment")
            expect(framed).to_have_count(0)
            attacker.close()

    assert not (scm.home / "forged.txt").exists()


def test_the_sites_own_code_sees_neither_session_nor_password(page: Page, scm: Scm) -> None:
    page.goto(f"{scm.address}/Env?values=true")
    headers = page.locator("section", has_text="Headers of this request").inner_text().lower()

    assert "cookie" not in headers
    assert "authorization" not in headers
    assert scm.password not in page.content()


@pytest.mark.parametrize("path", ["/", "/DebugConsole"])
def test_no_service_worker_settles_on_the_scm_site(page: Page, scm: Scm, path: str) -> None:
    scm.platform.write(SITE, {"worker.js": "self.addEventListener('fetch', () => {})"})
    page.goto(scm.address + path)

    with pytest.raises(Exception, match="Failed to register"):
        page.evaluate("() => navigator.serviceWorker.register('/api/vfs/site/wwwroot/worker.js')")


def test_a_token_from_the_command_line_opens_the_api(scm: Scm) -> None:
    token = scm.platform.homeport("token", "create", SITE, "--name", "ci", "--days", "1").stdout.strip()
    with scm.platform.client(f"{SITE}.scm.localhost") as client:
        client.headers["Authorization"] = f"Bearer {token}"
        assert client.get("/api/settings").status_code == 200
        assert client.post("/api/command", json={"command": "echo hi"}).json()["Output"] == "hi\n"
        scm.platform.homeport("token", "remove", SITE, "ci")
        assert client.get("/api/settings").status_code == 401


def test_publishing_credentials_still_open_everything_for_clients(scm: Scm) -> None:
    with scm.platform.scm(SITE) as client:
        assert client.get("/api/settings").status_code == 200
    answer = httpx.get(f"http://127.0.0.1:{scm.platform.port}/", headers={"Host": f"{SITE}.scm.localhost"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="site"')
