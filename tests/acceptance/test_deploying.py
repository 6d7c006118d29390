"""Visitors during deployments: one version or the other, no failed request, whatever is killed meanwhile."""

import io
import os
import signal
import socket
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from acceptance.running import HOMEPORT, Platform, eventually, running_platform
from acceptance.sites import web_config

Make = Callable[..., str]
SLOW = "[config]\nCOMMAND = copy version.txt %DEPLOYMENT_TARGET%\\version.txt && sleep 60\n"


def version(number: int, **more: str) -> bytes:
    """Make a package whose code, module and data file all tell the same version."""
    app = f"""
import other
def wsgi_app(environ, start_response):
    with open("D:/home/site/wwwroot/version.txt".replace("D:", "")) as file:
        text = f"{number} {{other.VERSION}} {{file.read()}}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]
"""
    files = {
        "web.config": web_config(),
        "app.py": app,
        "other.py": f"VERSION = {number}\n",
        "version.txt": str(number),
        f"only{number}.txt": "",
        **more,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        for name, text in files.items():
            package.writestr(name, text)
    return buffer.getvalue()


@contextmanager
def visitors(platform: Platform, site: str) -> Iterator[list[tuple[int, str]]]:
    """Keep visiting a site; gives what was answered, in order."""
    seen: list[tuple[int, str]] = []
    done = threading.Event()

    def visit() -> None:
        with platform.client(f"{site}.localhost") as client:
            while not done.is_set():
                try:
                    answer = client.get("/")
                    seen.append((answer.status_code, answer.text))
                except httpx.HTTPError as error:
                    seen.append((0, repr(error)))

    threads = [threading.Thread(target=visit) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        done.set()
        for thread in threads:
            thread.join()


def served(platform: Platform, site: str, number: int) -> None:
    seen: list[str] = []

    def is_there() -> bool:
        seen.append(platform.get(site).text)
        return seen[-1] == f"{number} {number} {number}"

    try:
        eventually(is_there)
    except AssertionError as error:
        logs = (platform.data / f"sites/{site}/home/LogFiles/Application").glob("*.log")
        said = "".join(path.read_text() for path in logs)[-3000:]
        raise AssertionError(f"{site} shows {seen[-1]!r}, not version {number}: {said}") from error


def test_the_first_visitor_after_a_deployment_gets_what_was_deployed(
    platform: Platform, make_site: Make
) -> None:
    make_site("new")
    with platform.scm("new") as scm:
        for number in (1, 2, 3):
            scm.post("/api/zipdeploy", content=version(number)).raise_for_status()
            assert platform.get("new").text == f"{number} {number} {number}"


OWN_SERVER = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(VERSION)))
        self.end_headers()
        self.wfile.write(VERSION)
    def log_message(self, *args):
        pass
class Server(ThreadingHTTPServer):
    request_queue_size = 100
    daemon_threads = True
Server(("127.0.0.1", int(os.environ["HTTP_PLATFORM_PORT"])), Handler).serve_forever()
"""
HTTP_PLATFORM = """<configuration><system.webServer>
<handlers><add name="app" path="*" verb="*" modules="httpPlatformHandler" resourceType="Unspecified"/></handlers>
<httpPlatform processPath="D:\\home\\python3117x64\\python.exe" arguments="server.py"/>
</system.webServer></configuration>"""


def test_behind_httpplatform_too_only_what_was_deployed_answers_after_a_deployment(
    platform: Platform, make_site: Make
) -> None:
    make_site("new-http")
    with platform.scm("new-http") as scm, visitors(platform, "new-http") as seen:
        for number in (b"1", b"2", b"3"):
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as package:
                package.writestr("web.config", HTTP_PLATFORM)
                package.writestr("server.py", f"VERSION = {number!r}\n{OWN_SERVER}")
            scm.post("/api/zipdeploy", content=buffer.getvalue()).raise_for_status()
            at = len(seen) + 3  # the three visitors' requests that are under way
            eventually(lambda at=at: len(seen) > at + 50)  # type: ignore[misc]
            assert set(seen[at:]) == {(200, number.decode())}


def test_no_request_fails_while_versions_come_go_and_come_back(platform: Platform, make_site: Make) -> None:
    make_site("versions")
    with platform.scm("versions") as scm:
        scm.post("/api/zipdeploy", content=version(1)).raise_for_status()
        served(platform, "versions", 1)
        first = scm.get("/api/deployments/latest").json()["id"]
        with visitors(platform, "versions") as seen:
            for number in (2, 3):
                scm.post("/api/zipdeploy", content=version(number)).raise_for_status()
                record = scm.get("/api/deployments/latest").json()
                assert record["status"] == 4, record
                served(platform, "versions", number)
            broken = {
                ".deployment": "[config]\nSCM_DO_BUILD_DURING_DEPLOYMENT=true\n",
                "requirements.txt": "./none.whl",
            }
            scm.post("/api/zipdeploy", content=version(4, **broken)).raise_for_status()
            assert scm.get("/api/deployments/latest").json()["status"] == 3
            platform.homeport("deployments", "rollback", "versions", first)
            served(platform, "versions", 1)

    assert {status for status, _ in seen} == {200}
    # A process of the version before may read a file of the next one in the moment before it is replaced.
    assert {text.rsplit(" ", 1)[0] for _, text in seen} == {"1 1", "2 2", "3 3"}


def test_without_a_restart_a_worker_goes_on_and_sees_the_new_files_unless_its_code_changed(
    platform: Platform, make_site: Make
) -> None:
    make_site("going-on")
    app = """
import os
START = os.urandom(8).hex()
def wsgi_app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{START} {open('/home/site/wwwroot/data.txt').read()} {os.listdir('.')}".encode()]
"""

    def publish(number: int, code: str) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as package:
            for name, text in {
                "web.config": web_config(),
                "app.py": code,
                "data.txt": str(number),
                f"only{number}.txt": "",
            }.items():
                package.writestr(zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 6)), text)
        scm.post("/api/publish?type=zip&restart=false", content=buffer.getvalue()).raise_for_status()
        record = scm.get("/api/deployments/latest").json()
        assert record["status"] == 4, record

    with platform.scm("going-on") as scm:
        publish(1, app)
        eventually(lambda: " 1 " in platform.get("going-on").text)
        worker = platform.get("going-on").text.split()[0]
        publish(2, app)
        again = platform.get("going-on").text
        assert again.startswith(f"{worker} 2 ")
        assert "only2.txt" in again
        assert "only1.txt" not in again
        publish(3, f"{app}# other\n")
        eventually(lambda: platform.get("going-on").text.split()[0] != worker)


def test_settings_that_change_during_a_deployment_do_not_end_it(
    platform: Platform, make_site: Make, tmp_path: Path
) -> None:
    make_site("hurried")
    command = "[config]\nCOMMAND = copy * %DEPLOYMENT_TARGET% && echo x > D:\\home\\begun && sleep 4\n"
    package = tmp_path / "app.zip"
    package.write_bytes(version(1, **{".deployment": command}))
    with subprocess.Popen(
        [str(HOMEPORT), "deploy", "hurried", str(package)],
        env={**os.environ, "HOMEPORT_DATA": str(platform.data)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as deploying:
        eventually((platform.data / "sites/hurried/home/begun").exists)
        platform.homeport("settings", "set", "hurried", "COLOUR=green")
        with platform.scm("hurried") as scm:
            assert scm.get("/api/settings").json()["COLOUR"] == "green"
        said, _ = deploying.communicate(timeout=60)

    assert deploying.returncode == 0, said
    served(platform, "hurried", 1)


def test_a_package_at_an_address_is_served_and_fetched_again_at_each_restart(
    platform: Platform, make_site: Make, tmp_path: Path
) -> None:
    make_site("fetched")
    (tmp_path / "app.zip").write_bytes(version(1))
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer((own_address(), 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://{own_address()}:{server.server_address[1]}/app.zip"
        platform.homeport("settings", "set", "fetched", f"WEBSITE_RUN_FROM_PACKAGE={address}")
        served(platform, "fetched", 1)
        (tmp_path / "app.zip").write_bytes(version(2))
        platform.homeport("site", "restart", "fetched")
        served(platform, "fetched", 2)
        server.shutdown()
        thread.join()
    platform.homeport("site", "restart", "fetched")

    def newest() -> dict[str, object]:
        found: list[dict[str, object]] = platform.json("deployments", "list", "fetched")
        return found[0]

    eventually(lambda: newest()["status"] == 3)
    served(platform, "fetched", 2)


def test_a_site_runs_in_the_virtual_environment_that_its_deployment_made(
    platform: Platform, make_site: Make, tmp_path: Path
) -> None:
    make_site("environment")
    platform.homeport("settings", "set", "environment", "HOMEPORT_VIRTUAL_ENVIRONMENT=antenv")
    app = """
import sys
import tiny
def wsgi_app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{sys.prefix} {tiny.__file__}".encode()]
"""
    (tmp_path / "app.py").write_text(app)
    (tmp_path / "web.config").write_text(web_config())
    (tmp_path / "requirements.txt").write_text("./tiny")
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/tiny.py").write_text("")
    (tmp_path / "tiny/pyproject.toml").write_text('[project]\nname = "tiny"\nversion = "1"\n')

    platform.homeport("deploy", "environment", str(tmp_path))

    folder = "/home/site/wwwroot/antenv"
    place = f"{folder}/lib/python3.11/site-packages/tiny.py"
    eventually(lambda: platform.get("environment").text == f"{folder} {place}")


def own_address() -> str:
    """Return the machine's own address, which a sandbox may reach as it may reach any other machine's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        address: str = probe.getsockname()[0]
    return address


@pytest.mark.parametrize("part", ["homeport.scm", "homeport.node", "the machine"])
def test_killed_in_the_middle_the_old_version_serves_and_the_record_says_so(
    part: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    tmp_path.chmod(0o711)
    with ExitStack() as stack:
        platform = stack.enter_context(running_platform(data))
        platform.homeport("site", "create", "killed")
        platform.homeport("extension", "add", "killed", "python3117x64")
        with platform.scm("killed") as scm:
            scm.post("/api/zipdeploy", content=version(1)).raise_for_status()
            served(platform, "killed", 1)
            scm.post(
                "/api/zipdeploy?isAsync=true", content=version(2, **{".deployment": SLOW})
            ).raise_for_status()
            eventually(lambda: scm.get("/api/deployments/latest").json()["status"] == 2)

        if part == "the machine":
            platform.stop_like_a_machine()
            platform = stack.enter_context(running_platform(data))
        else:
            os.kill(platform.pids(part)[-1], signal.SIGKILL)

        scm = stack.enter_context(platform.scm("killed"))

        def records() -> list[dict[str, object]]:
            answer = scm.get("/api/deployments")
            return answer.json() if answer.status_code == 200 else []

        eventually(lambda: [record["status"] for record in records()] == [3, 4])
        served(platform, "killed", 1)
        assert [record["active"] for record in records()] == [False, True]
        scm.post("/api/zipdeploy", content=version(3)).raise_for_status()
        served(platform, "killed", 3)


def test_git_pushes_with_the_publishing_credentials(
    platform: Platform, make_site: Make, tmp_path: Path
) -> None:
    make_site("pushed")
    with zipfile.ZipFile(io.BytesIO(version(1))) as package:
        package.extractall(tmp_path)
    publishing = platform.json("site", "show", "pushed")["publishing"]
    host = f"pushed.scm.localhost:{platform.port}"
    address = (
        f"http://{publishing['user'].replace('$', '%24')}:{publishing['password']}@127.0.0.1:{platform.port}"
    )

    def git(*arguments: str) -> "subprocess.CompletedProcess[str]":
        who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", f"http.extraHeader=Host: {host}")
        return subprocess.run(
            ["git", *who, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
        )

    git("init", "-q", "-b", "master")
    git("add", "-A")
    git("commit", "-q", "-m", "one")
    wrong = git("push", address.replace(publishing["password"], "wrong"), "master")
    pushed = git("push", f"{address}/pushed.git", "master")

    assert wrong.returncode != 0
    assert pushed.returncode == 0, pushed.stderr
    assert "remote: Deployment successful." in pushed.stderr
    served(platform, "pushed", 1)
