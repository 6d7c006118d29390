"""Applications of extensions below the SCM site, on a real platform (Kudu reference §7.2, §7.4, §7.5)."""

import importlib.util
import io
import os
import signal
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import websockets.exceptions
import websockets.sync.client

from acceptance.running import Platform, eventually

Make = Callable[..., str]
SAMPLE = Path(__file__).parents[2] / "samples/site-extension"
ECHO = """
import base64, hashlib, os, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.headers.get("Upgrade", "").lower() == "websocket":
            key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
            self.end_headers()
            self.wfile.write(b"\\x81\\x05hello")
            self.wfile.flush()
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        lines = [self.command, self.path, os.getcwd(), str(os.getuid()), body.decode()]
        text = ("\\n".join(lines) + "\\n" + str(self.headers)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    do_POST = do_GET
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
ECHO_CONFIG = r"""<configuration><system.webServer>
  <handlers>
    <add name="Files" path="*.txt" verb="GET" modules="StaticFileModule" resourceType="File"/>
    <add name="Web" path="*" verb="*" modules="httpPlatformHandler"/>
  </handlers>
  <httpPlatform processPath="D:\home\python3117x64\python.exe" arguments=".\echo.py %HTTP_PLATFORM_PORT%"/>
</system.webServer></configuration>"""
HIDING = r"""<configuration xmlns:xdt="http://schemas.microsoft.com/XML-Document-Transform"><system.applicationHost><sites>
<site name="%XDT_SCMSITENAME%" xdt:Locator="Match(name)">
  <application path="/api" xdt:Transform="Insert"><virtualDirectory path="/" physicalPath="%XDT_EXTENSIONPATH%"/></application>
</site></sites></system.applicationHost></configuration>"""


def package(identity: str, files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(
            f"{identity}.nuspec",
            f"<package><metadata><id>{identity}</id><version>1.0.0</version></metadata></package>",
        )
        for name, text in files.items():
            archive.writestr(f"content/{name}", text)
    return buffer.getvalue()


def sample_package(folder: Path) -> bytes:
    spec = importlib.util.spec_from_file_location("pack", SAMPLE / "pack.py")
    assert spec
    assert spec.loader
    pack = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pack)
    made: Path = pack.pack(SAMPLE, folder)
    return made.read_bytes()


def install(scm: httpx.Client, identity: str, data: bytes) -> str:
    answer = scm.put(
        f"/api/siteextensions/{identity}",
        content=data,
        headers={"Content-Type": "application/zip"},
        timeout=120,
    )
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["extension_url"]
    return url


@pytest.fixture(scope="module")
def site(platform: Platform) -> Iterator[str]:
    platform.homeport("site", "create", "tools")
    platform.homeport("extension", "add", "tools", "python3117x64")
    with platform.scm("tools") as scm:
        data = package("Example.Echo", {"echo.py": ECHO, "web.config": ECHO_CONFIG, "note.txt": "a note"})
        assert (
            install(scm, "Example.Echo", data) == f"http://tools.scm.localhost:{platform.port}/Example.Echo/"
        )
    yield "tools"
    platform.homeport("site", "delete", "tools", "--yes", check=False)


def test_the_sample_extension_is_there_from_install_to_uninstall(
    platform: Platform, site: str, tmp_path: Path
) -> None:
    with platform.scm(site) as scm:
        url = install(scm, "homeport-sizes", sample_package(tmp_path))
        path = httpx.URL(url).path
        page = scm.get(path)
        assert page.status_code == 200, page.text
        assert f"Folder sizes of {site}" in page.text
        assert f"Asked for by ${site}." in page.text
        assert scm.get(f"{path}sizes.css").headers["content-type"] == "text/css"
        assert scm.get("/sizes?a=1").headers["location"] == "/sizes/?a=1"
        with platform.client(f"{site}.scm.localhost") as stranger:
            for below in ("", "sizes.css", "sizes.py", "web.config", "../sizes/", "%2e%2e/api/settings"):
                answer = stranger.get(f"{path}{below}")
                assert answer.status_code == 401, below
                assert "Folder sizes" not in answer.text
        # Nothing of it is to be had from the site itself, or from another SCM site.
        assert platform.get(site, path).status_code == 404

        assert scm.delete("/api/siteextensions/homeport-sizes").json() is True
        assert scm.get(path).status_code == 404
        assert scm.get("/api/siteextensions/homeport-sizes").status_code == 404
    assert platform.json("site", "show", site)["state"] == "Running"


def test_an_application_runs_as_the_site_and_gets_nobodys_credentials(platform: Platform, site: str) -> None:
    with platform.scm(site) as scm:
        cookies = "a=1; homeport_scm=secret; __Host-homeport=secret; b=2"
        headers = {
            "Cookie": cookies,
            "X-CSRF-Token": "secret",
            "X-Original-URL": "/api",
            "X-MS-Client-Principal-Name": "root",
        }
        answer = scm.post("/example.echo/a%20b//c?d=e", content=b"body", headers=headers)
        assert answer.status_code == 200, answer.text
        method, path, folder, uid, body, *lines = answer.text.splitlines()
        assert scm.get("/Example.Echo/note.txt").text == "a note"
    home = platform.data / f"sites/{site}/home"
    sent = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines) if value}

    assert (method, path, body) == ("POST", "/example.echo/a%20b//c?d=e", "body")
    assert folder == "/home/SiteExtensions/Example.Echo"
    assert int(uid) == home.stat().st_uid or os.geteuid() != 0
    assert sent["cookie"] == "a=1; b=2"
    assert sent["x-original-url"] == "/example.echo/a%20b//c?d=e"
    assert sent["x-ms-client-principal-name"] == f"${site}"
    assert sent["x-forwarded-proto"] == "http"
    assert sent["x-forwarded-for"].startswith("127.0.0.1:")
    assert {"authorization", "x-csrf-token", "x-homeport-csrf"}.isdisjoint(sent)
    assert "secret" not in answer.text
    shown = platform.json("site", "show", site)
    assert "/Example.Echo" in {pool["application"] for pool in shown["pools"]}
    assert " of /Example.Echo on the SCM site is " in platform.homeport("site", "show", site).stdout


def test_a_person_may_send_forms_from_its_own_pages_only(platform: Platform, site: str) -> None:
    origin = f"http://{site}.scm.localhost:{platform.port}"
    publishing = platform.json("site", "show", site)["publishing"]
    with platform.client(f"{site}.scm.localhost") as browser:
        fields = {"user": publishing["user"], "password": publishing["password"], "next": "/Example.Echo/"}
        entered = browser.post("/.homeport/sign-in", data=fields, headers={"Origin": origin})
        cookie = {"Cookie": entered.headers["set-cookie"].split(";")[0]}
        browser.cookies.clear()

        def post(path: str, **headers: str) -> int:
            return browser.post(path, data={"a": "b"}, headers={**cookie, **headers}).status_code

        assert browser.get("/Example.Echo/", headers=cookie).status_code == 200
        assert post("/Example.Echo/", Origin=origin) == 200
        assert post("/Example.Echo/") == 403
        assert post("/Example.Echo/", Origin="http://elsewhere.test") == 403
        assert post("/Example.Echo/../api/hooks", Origin=origin) == 403
        assert post("/api/hooks", Origin=origin, **{"X-Homeport-Application": "1"}) == 403
        worker = browser.get("/Example.Echo/", headers={**cookie, "Service-Worker": "script"})
        assert worker.status_code == 403


def test_web_sockets_reach_it_behind_the_sign_in(platform: Platform, site: str) -> None:
    publishing = platform.json("site", "show", site)["publishing"]
    credentials = httpx.BasicAuth(publishing["user"], publishing["password"])._auth_header

    def connect(**headers: str) -> str | bytes:
        with websockets.sync.client.connect(
            f"ws://{site}.scm.localhost:{platform.port}/Example.Echo/socket",
            sock=socket.create_connection(("127.0.0.1", platform.port)),
            additional_headers=headers,
            open_timeout=60,
        ) as opened:
            return opened.recv(timeout=60)

    assert connect(Authorization=credentials) == "hello"
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        connect()
    assert refused.value.response.status_code == 401


def test_a_path_of_the_scm_sites_own_is_refused_with_its_place(platform: Platform, site: str) -> None:
    with platform.scm(site) as scm:
        install(scm, "Example.Hiding", package("Example.Hiding", {"scmApplicationHost.xdt": HIDING}))
        (finding,) = [
            each
            for each in platform.json("site", "show", site)["findings"]
            if each["code"] == "webconfig.scm-path"
        ]
        assert scm.get("/api/environment").json()["version"]
        assert scm.delete("/api/siteextensions/Example.Hiding").json() is True

    assert (finding["file"], finding["line"]) == ("SiteExtensions/Example.Hiding/scmApplicationHost.xdt", 3)
    assert "/api" in finding["message"]


def test_files_are_served_and_links_lead_nowhere(platform: Platform, site: str) -> None:
    with platform.scm(site) as scm:
        files = {"index.html": "top", "sub folder/index.html": "below", "app.exe.config": "secret"}
        install(scm, "Example.Files", package("Example.Files", files))
        assert scm.get("/example.files/").text == "top"
        assert (
            scm.get("/Example.Files/sub%20folder?a=b").headers["location"]
            == "/Example.Files/sub%20folder/?a=b"
        )
        assert scm.get("/Example.Files/sub%20folder/").text == "below"
        assert scm.get("/Example.Files/app.exe.config").status_code == 404

        def run(command: str) -> None:
            body = {"command": f"bash -c '{command}'", "dir": r"D:\home\SiteExtensions"}
            done = scm.post("/api/command", json=body).json()
            assert done["ExitCode"] == 0, done

        run("ln -s /etc/passwd Example.Files/link.txt; ln -s ../../site Example.Files/linked")
        assert scm.get("/Example.Files/link.txt").status_code in {403, 404}
        assert scm.get("/Example.Files/linked/wwwroot/hostingstart.html").status_code in {403, 404}
        # What is mounted is a folder: one that was replaced by a link is served no more.
        run("mv Example.Files ../data/moved; ln -s ../data/moved Example.Files")
        assert scm.get("/Example.Files/").status_code in {403, 404}
        platform.homeport("site", "restart", site)
        eventually(lambda: scm.get("/Example.Files/").status_code == 404)
        run("rm Example.Files; rm -r ../data/moved")


def test_by_https_it_knows_that_it_is_https(platform: Platform, site: str) -> None:
    publishing = platform.json("site", "show", site)["publishing"]
    port = platform.json("site", "show", site)["https_url"].rpartition(":")[2]
    host = f"{site}.scm.localhost"
    with httpx.Client(verify=False, auth=(publishing["user"], publishing["password"])) as client:
        answer = client.get(
            f"https://127.0.0.1:{port}/Example.Echo/",
            headers={"Host": f"{host}:{port}"},
            extensions={"sni_hostname": host},
            timeout=60,
        )
    assert "X-Forwarded-Proto: https" in answer.text


def test_changed_content_and_a_new_version_are_served_by_new_processes(platform: Platform, site: str) -> None:
    with platform.scm(site) as scm:
        newer = {"echo.py": ECHO.replace("self.command,", "'second',"), "web.config": ECHO_CONFIG}
        install(scm, "Example.Echo", package("Example.Echo", newer))
        eventually(lambda: scm.get("/Example.Echo/").text.startswith("second\n"))

        scm.put(
            "/api/vfs/SiteExtensions/Example.Echo/web.config",
            content=ECHO_CONFIG.replace("echo.py", "third.py"),
            headers={"If-Match": "*"},
        ).raise_for_status()
        scm.put(
            "/api/vfs/SiteExtensions/Example.Echo/third.py",
            content=ECHO.replace("self.command,", "'third',"),
        ).raise_for_status()
        eventually(lambda: scm.get("/Example.Echo/").text.startswith("third\n"))


def test_it_is_there_again_when_nginx_was_killed(platform: Platform, site: str) -> None:
    with platform.scm(site) as scm:
        assert scm.get("/Example.Echo/").status_code == 200
        (master,) = platform.pids("nginx: master process")
        os.kill(master, signal.SIGKILL)
        eventually(lambda: platform.pids("nginx: master process") not in ([], [master]))

        def answered() -> bool:
            try:
                return scm.get("/Example.Echo/").status_code == 200
            except httpx.TransportError:
                return False

        eventually(answered)
