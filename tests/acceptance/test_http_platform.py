"""httpPlatform: web servers of a site's own, started by the platform and reached through it."""

import concurrent.futures
import contextlib
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import websockets.exceptions
import websockets.sync.client

from acceptance.running import Platform, eventually
from homeport.node.front_network import front_address

Make = Callable[..., str]

BYTEWISE = """<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <system.webServer>
    <handlers>
      <add name="PythonHandler" path="*" verb="*" modules="httpPlatformHandler" resourceType="Unspecified"/>
    </handlers>
    <httpPlatform processPath="D:\\home\\Python361x64\\python.exe"
                  arguments="D:\\home\\site\\wwwroot\\runserver.py --port %HTTP_PLATFORM_PORT%"
                  stdoutLogEnabled="true"
                  stdoutLogFile="D:\\home\\LogFiles\\python.log"
                  startupTimeLimit="60"
                  processesPerApplication="16">
      <environmentVariables>
        <environmentVariable name="SERVER_PORT" value="%HTTP_PLATFORM_PORT%" />
      </environmentVariables>
    </httpPlatform>
  </system.webServer>
</configuration>
"""
"""The web.config of App Service's documentation, byte for byte."""

RUNSERVER = """
import os, sys, uuid
from wsgiref.simple_server import make_server
ME = uuid.uuid4().hex
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [" ".join([ME, environ["REMOTE_ADDR"], environ["PATH_INFO"]]).encode()]
if len(sys.argv) > 2 and sys.argv[1] == "--port":
    port = int(sys.argv[2])
else:
    port = int(os.environ["SERVER_PORT"])
print("listening on", port)
make_server("localhost", port, app).serve_forever()
"""

SLOW = """
import os, sys, time, threading, uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
ME = uuid.uuid4().hex
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, body, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        if self.path.startswith("/sleep/"):
            time.sleep(float(self.path.split("/")[2]))
        if self.path == "/exit":
            os._exit(3)
        if self.path == "/env":
            return self.answer(repr(dict(os.environ)).encode())
        if self.path == "/headers":
            return self.answer(str(self.headers).encode())
        if self.path == "/status/503":
            return self.answer(b"busy by itself", 503)
        if self.path == "/events":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            for number in range(3):
                self.wfile.write(b"data: %d\\n\\n" % number)
                self.wfile.flush()
                GO.acquire(timeout=30)
            self.close_connection = True
            return
        if self.path == "/go":
            GO.release()
        self.answer((VERSION + " " + ME).encode())
    do_DELETE = do_GET
    def do_POST(self):
        length = int(self.headers["Content-Length"])
        digest = __import__("hashlib").sha256()
        left = length
        while left:
            piece = self.rfile.read(min(left, 65536))
            digest.update(piece)
            left -= len(piece)
        self.answer(("%d %s" % (length, digest.hexdigest())).encode())
    def log_message(self, *args):
        pass
GO = threading.Semaphore(0)
VERSION = "one"
class Server(ThreadingHTTPServer):
    request_queue_size = 100
    daemon_threads = True
print("hello from the log", flush=True)
Server(("127.0.0.1", int(os.environ["HTTP_PLATFORM_PORT"])), Handler).serve_forever()
"""


def http_platform(
    attributes: str = "",
    *,
    process: str = r"D:\home\python3117x64\python.exe",
    arguments: str = "server.py",
    inside: str = "",
    more: str = "",
) -> str:
    """Return a web.config with one httpPlatform application."""
    return f"""<configuration><system.webServer>
    <handlers><add name="app" path="*" verb="*" modules="httpPlatformHandler" resourceType="Unspecified"/></handlers>
    <httpPlatform processPath="{process}" arguments="{arguments}" {attributes}>{inside}</httpPlatform>
    {more}
    </system.webServer></configuration>"""


@pytest.fixture
def make_app(platform: Platform, make_site: Make) -> Make:
    """Give a function as `make_site` that returns once requests reach the application, or its error."""

    def make(name: str, files: dict[str, str | bytes], **options: str) -> str:
        make_site(name, files, **options)
        eventually(lambda: "up and running" not in platform.get(name).text)
        return name

    return make


def make_cold(platform: Platform, site: str) -> None:
    """End every process of a site that serves."""
    for pid in processes(platform, site):
        with contextlib.suppress(ProcessLookupError):  # one that another version replaces may just have ended
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: not processes(platform, site))


def log(platform: Platform, site: str) -> str:
    """Return what the platform and the processes wrote to the pool's own log."""
    folder = platform.data / f"sites/{site}/home/LogFiles/Application"
    return "".join(path.read_text() for path in folder.glob("http-*.log"))


def processes(platform: Platform, site: str) -> list[int]:
    """Return the pids of a site's httpPlatform processes."""
    shown = platform.json("site", "show", site)["processes"]
    return [one["pid"] for one in shown if one["pool"].startswith("http-")]


def test_the_documented_web_config_runs_byte_for_byte(platform: Platform, make_app: Make) -> None:
    make_app("hp-bytewise", {"web.config": BYTEWISE, "runserver.py": RUNSERVER}, runtime="python361x64")

    _, address, path = platform.get("hp-bytewise", "/a/b").text.split()

    assert (address, path) == ("127.0.0.1", "/a/b")
    folder = platform.data / "sites/hp-bytewise/home/LogFiles"
    names = [path.name for path in folder.glob("python.log*")]
    assert names
    assert all(re.fullmatch(r"python\.log_\d+_2\d{3}\d{5,10}\.log", name) for name in names)
    eventually(lambda: any("listening on" in path.read_text() for path in folder.glob("python.log*")))


def test_all_processes_are_reachable_and_start_only_as_load_asks_for_them(
    platform: Platform, make_app: Make
) -> None:
    make_app("hp-many", {"web.config": http_platform('processesPerApplication="16"'), "server.py": SLOW})
    assert len(processes(platform, "hp-many")) == 1

    seen: set[str] = set()
    with concurrent.futures.ThreadPoolExecutor(40) as visitors:
        while len(seen) < 16:
            answers = visitors.map(lambda _: platform.get("hp-many", "/sleep/0.3"), range(40))
            seen |= {answer.text for answer in answers if answer.status_code == 200}

    assert len(seen) == 16
    assert len(processes(platform, "hp-many")) == 16


def test_a_cold_request_keeps_its_method_and_its_body(platform: Platform, make_app: Make) -> None:
    make_app("hp-cold", {"web.config": http_platform(), "server.py": SLOW})
    make_cold(platform, "hp-cold")
    body = os.urandom(3_000_000)

    with platform.client("hp-cold.localhost") as client:
        answer = client.post("/upload", content=body)

    assert answer.status_code == 200
    assert answer.text.split() == [str(len(body)), __import__("hashlib").sha256(body).hexdigest()]


def test_many_requests_that_find_no_process_start_one(platform: Platform, make_app: Make) -> None:
    make_app("hp-herd", {"web.config": http_platform(), "server.py": SLOW})
    make_cold(platform, "hp-herd")

    with concurrent.futures.ThreadPoolExecutor(30) as visitors:
        answers = list(visitors.map(lambda _: platform.get("hp-herd"), range(30)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1


def test_the_port_is_told_in_all_three_ways_and_an_empty_variable_is_none(
    platform: Platform, make_app: Make
) -> None:
    inside = (
        '<environmentVariables><environmentVariable name="SERVER_PORT" value="%HTTP_PLATFORM_PORT%"/>'
        '<environmentVariable name="LANG" value=""/>'
        '<environmentVariable name="PATH" value="%PATH%;D:\\home\\tools"/>'
        '<environmentVariable name="SITE" value="%WEBSITE_SITE_NAME%"/>'
        '<environmentVariable name="DATA" value="D:\\home\\data"/></environmentVariables>'
    )
    make_app("hp-told", {"web.config": http_platform(inside=inside), "server.py": SLOW})
    platform.homeport("settings", "set", "hp-told", "GREETING=hi")
    eventually(lambda: "'GREETING': 'hi'" in platform.get("hp-told", "/env").text)

    environment = eval(platform.get("hp-told", "/env").text)

    assert environment["SERVER_PORT"] == environment["HTTP_PLATFORM_PORT"]
    assert 1026 <= int(environment["SERVER_PORT"]) <= 48000
    assert environment["DATA"] == "/home/data"
    assert environment["PATH"].endswith("/usr/bin:/bin:/home/tools")
    assert environment["SITE"] == "hp-told"
    assert "LANG" not in environment


def test_what_the_application_learns_of_its_visitor(platform: Platform, make_app: Make) -> None:
    make_app("hp-headers", {"web.config": http_platform(), "server.py": SLOW})
    spoofed = {
        "X-Forwarded-Proto": "https",
        "X-Original-URL": "/other",
        "Proxy": "http://evil",
        "X-Mine": "1",
    }

    text = platform.get("hp-headers", "/headers", headers=spoofed).text

    headers = dict(line.split(": ", 1) for line in text.strip().splitlines())
    assert headers["Host"] == "hp-headers.localhost"[: len(headers["Host"])] or ":" in headers["Host"]
    assert re.fullmatch(r"127\.0\.0\.1:\d+", headers["X-Forwarded-For"])
    assert headers["X-Forwarded-Proto"] == "http"
    assert headers["X-Original-URL"] == "/headers"
    assert headers["X-Mine"] == "1"
    assert "Proxy" not in headers


def test_an_answer_is_passed_on_piece_by_piece(platform: Platform, make_app: Make) -> None:
    make_app("hp-events", {"web.config": http_platform(), "server.py": SLOW})

    with platform.client("hp-events.localhost") as client, client.stream("GET", "/events") as stream:
        pieces = stream.iter_text()
        for number in range(3):
            # The next piece is made only when this one has arrived.
            assert next(pieces) == f"data: {number}\n\n"
            platform.get("hp-events", "/go")


def test_an_error_of_the_application_itself_is_passed_on(platform: Platform, make_app: Make) -> None:
    make_app("hp-busy", {"web.config": http_platform(), "server.py": SLOW})

    answer = platform.get("hp-busy", "/status/503")

    assert (answer.status_code, answer.text) == (503, "busy by itself")


def test_a_process_that_dies_in_a_request_is_502_and_the_next_request_has_a_new_one(
    platform: Platform, make_app: Make
) -> None:
    make_app("hp-dies", {"web.config": http_platform(), "server.py": SLOW})

    with platform.client("hp-dies.localhost") as client:
        answer = client.delete("/exit")

    assert answer.status_code == 502
    assert "failed to answer" in answer.text
    assert platform.get("hp-dies").status_code == 200
    assert "exit code 3" in log(platform, "hp-dies")


def test_a_killed_process_is_replaced(platform: Platform, make_app: Make) -> None:
    make_app("hp-killed", {"web.config": http_platform(), "server.py": SLOW})
    first = platform.get("hp-killed").text
    (pid,) = processes(platform, "hp-killed")

    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{pid}").exists())

    eventually(lambda: platform.get("hp-killed").status_code == 200)
    assert platform.get("hp-killed").text != first


def test_an_application_that_does_not_start_is_502_and_the_log_tells_why(
    platform: Platform, make_app: Make
) -> None:
    config = http_platform(
        'startupRetryCount="2" stdoutLogEnabled="true" stdoutLogFile="\\home\\LogFiles\\out"'
    )
    make_app("hp-broken", {"web.config": config, "server.py": "raise SystemExit('no such database')"})

    before = log(platform, "hp-broken").count("Process '")

    answer = platform.get("hp-broken")

    assert answer.status_code == 502
    assert "homeport why hp-broken" in answer.text
    text = log(platform, "hp-broken")
    assert text.count("Process '") - before == 3
    assert "exit code 1" in text
    assert "no such database" in text


def test_too_many_failures_in_a_minute_start_nothing_more(platform: Platform, make_app: Make) -> None:
    config = http_platform('startupRetryCount="100" rapidFailsPerMinute="2"')
    make_app("hp-rapid", {"web.config": config, "server.py": "raise SystemExit(1)"})

    assert platform.get("hp-rapid").status_code == 502
    assert platform.get("hp-rapid").status_code == 502

    assert log(platform, "hp-rapid").count("Process '") == 3
    assert "Maximum rapid fail count per minute of '2' exceeded" in log(platform, "hp-rapid")
    assert [pool["state"] for pool in platform.json("site", "show", "hp-rapid")["pools"]] == ["broken"]


def test_an_application_that_never_listens_is_given_up_after_its_time(
    platform: Platform, make_app: Make
) -> None:
    config = http_platform('startupTimeLimit="1" startupRetryCount="0"')
    app = "import time\n\ndef wait_for_database():\n    time.sleep(100)\n\nwait_for_database()\n"
    make_app("hp-mute", {"web.config": config, "server.py": "import app", "app.py": app})

    assert platform.get("hp-mute").status_code == 502
    assert "did not listen within 1 s" in log(platform, "hp-mute")
    assert "wait_for_database (/home/site/wwwroot/app.py:4)" in log(platform, "hp-mute")
    why = platform.homeport("why", "hp-mute", check=False).stdout
    assert "app.py:4 in wait_for_database" in why


def test_a_request_that_takes_too_long_is_502_and_the_process_lives_on(
    platform: Platform, make_app: Make
) -> None:
    make_app("hp-late", {"web.config": http_platform('requestTimeout="00:00:01"'), "server.py": SLOW})
    before = platform.get("hp-late").text

    assert platform.get("hp-late", "/sleep/20").status_code == 502

    assert platform.get("hp-late").text == before


def test_a_new_version_takes_over_without_a_failed_request(platform: Platform, make_app: Make) -> None:
    config = http_platform(inside='<recycleOnFileChange><file path="touch.txt"/></recycleOnFileChange>')
    make_app("hp-new", {"web.config": config, "server.py": SLOW, "touch.txt": "1"})
    eventually(lambda: platform.get("hp-new").text.startswith("one"))
    seen: list[tuple[int, str]] = []

    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        done = False

        def visit() -> None:
            with platform.client("hp-new.localhost") as client:
                while not done:
                    answer = client.get("/")
                    seen.append((answer.status_code, answer.text[:3]))

        visitors = [pool.submit(visit) for _ in range(4)]
        platform.write("hp-new", {"server.py": SLOW.replace('"one"', '"two"')})
        platform.write("hp-new", {"touch.txt": "2"})
        eventually(lambda: seen and seen[-1][1] == "two")
        eventually(lambda: len(processes(platform, "hp-new")) == 1)
        done = True
        for visitor in visitors:
            visitor.result()

    assert {status for status, _ in seen} == {200}


def test_a_version_that_does_not_start_leaves_the_old_one_serving(platform: Platform, make_app: Make) -> None:
    make_app("hp-careful", {"web.config": http_platform(), "server.py": SLOW})
    before = platform.get("hp-careful").text

    platform.write("hp-careful", {"server.py": "raise SystemExit('broken version')"})
    platform.homeport("site", "restart", "hp-careful")
    eventually(lambda: "the old one keeps serving" in log(platform, "hp-careful"))

    assert platform.get("hp-careful").text == before


def test_app_offline_answers_for_the_application_until_it_is_gone(platform: Platform, make_app: Make) -> None:
    make_app("hp-offline", {"web.config": http_platform(), "server.py": SLOW})

    platform.write("hp-offline", {"App_Offline.htm": "<h1>back at noon</h1>"})
    eventually(lambda: platform.get("hp-offline").status_code == 503)

    assert platform.get("hp-offline").text == "<h1>back at noon</h1>"
    eventually(lambda: not processes(platform, "hp-offline"))
    with platform.scm("hp-offline") as scm:
        scm.delete("/api/vfs/site/wwwroot/App_Offline.htm", headers={"If-Match": "*"}).raise_for_status()


def test_a_link_in_the_place_of_app_offline_shows_nothing_of_the_machine(
    platform: Platform, make_app: Make
) -> None:
    make_app("hp-linked", {"web.config": http_platform(), "server.py": SLOW})
    root = platform.data / "sites/hp-linked/home/site/wwwroot"
    (root / "link").symlink_to("/etc/passwd")
    (root / "link").rename(root / "app_offline.htm")

    eventually(lambda: platform.get("hp-linked").status_code != 200)

    assert "root:" not in platform.get("hp-linked").text


def test_a_stopped_site_has_no_process(platform: Platform, make_app: Make) -> None:
    make_app("hp-halted", {"web.config": http_platform(), "server.py": SLOW})

    platform.homeport("site", "stop", "hp-halted")

    assert platform.get("hp-halted").status_code == 403
    eventually(lambda: not processes(platform, "hp-halted"))
    platform.homeport("site", "start", "hp-halted")
    assert platform.get("hp-halted").status_code == 200


PROBE = """
import os, socket, sys
from wsgiref.simple_server import make_server
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    found = []
    for target in environ["QUERY_STRING"].split(","):
        host, _, port = target.rpartition(":")
        try:
            with socket.create_connection((host, int(port)), 1.5) as connection:
                connection.sendall(b"GET /who HTTP/1.0\\r\\n\\r\\n")
                found.append(connection.recv(65536).decode().splitlines()[-1])
        except OSError:
            pass
    return [" ".join(found).encode()]
make_server("0.0.0.0", int(os.environ["HTTP_PLATFORM_PORT"]), app).serve_forever()
"""


def test_no_site_reaches_the_processes_of_another_one_or_the_front(
    platform: Platform, make_app: Make
) -> None:
    make_app("hp-victim", {"web.config": http_platform(), "server.py": SLOW})
    make_app("hp-spy", {"web.config": http_platform(), "server.py": PROBE})
    secret = platform.get("hp-victim").text.split()[1]
    victim = eval(platform.get("hp-victim", "/env").text)["HTTP_PLATFORM_PORT"]
    text = subprocess.run(
        ["cat", *Path("/run/homeport").glob("*/nginx/sites/hp-victim.conf")], capture_output=True, text=True
    ).stdout
    entrance = re.search(r"server (100\.\d+\.\d+\.\d+):(\d+)", text)
    assert entrance
    address, port = entrance.groups()
    uid = (platform.data / "sites/hp-spy/home").stat().st_uid
    with socket.create_server(("0.0.0.0", 0)) as listener:
        listener.setblocking(False)
        targets = [
            f"{address}:{port}",
            f"{address}:{victim}",
            f"127.0.0.1:{victim}",
            f"{front_address(uid)}:{listener.getsockname()[1]}",
        ]

        found = platform.get("hp-spy", "/?" + ",".join(targets)).text

        with pytest.raises(BlockingIOError):
            listener.accept()
    assert secret not in found


@pytest.mark.parametrize(
    ("process", "arguments", "files"),
    [
        (
            r"D:\home\site\wwwroot\start.sh",
            "",
            {"start.sh": 'echo starting\nexec python server.py "$@"\n', "server.py": SLOW},
        ),
        ("bash", "-c &quot;python server.py&quot;", {"server.py": SLOW}),
        (r"D:\home\site\wwwroot\server.py", "", {"server.py": SLOW}),
    ],
)
def test_processes_that_are_no_python_start_too(
    platform: Platform, make_app: Make, process: str, arguments: str, files: dict[str, str | bytes]
) -> None:
    config = http_platform(process=process, arguments=arguments)
    make_app("hp-shell", {"web.config": config, **files})

    assert platform.get("hp-shell").text.startswith("one")


ASGI = """
import os
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            await send({"type": "websocket.send", "text": "echo " + message["text"]})
    body = os.environ.get("SERVED_BY", "asgi").encode() + b" " + scope["scheme"].encode() + b" " + scope["client"][0].encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""
WSGI = """
import os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [os.environ["SERVED_BY"].encode()]
"""
TORNADO = """
import os
import tornado.ioloop, tornado.web
class Main(tornado.web.RequestHandler):
    def get(self):
        self.write("tornado")
tornado.web.Application([("/", Main)]).listen(int(os.environ["HTTP_PLATFORM_PORT"]), "127.0.0.1")
tornado.ioloop.IOLoop.current().start()
"""
DJANGO = """
import sys
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import path
settings.configure(DEBUG=True, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x")
urlpatterns = [path("", lambda request: HttpResponse("django " + request.get_host()))]
execute_from_command_line(sys.argv)
"""
NODE = """
const http = require("http");
http.createServer((request, response) => response.end("node " + process.argv[2]))
    .listen(process.env.HTTP_PLATFORM_PORT);
"""
FILES: dict[str, str | bytes] = {
    "asgi.py": ASGI,
    "wsgi.py": WSGI,
    "tornado_app.py": TORNADO,
    "manage.py": DJANGO,
    "server.js": NODE,
}
SCRIPTS = r"D:\home\python3117x64\Scripts"
PYTHON = r"D:\home\python3117x64\python.exe"
SERVERS = {
    "uvicorn": (rf"{SCRIPTS}\uvicorn.exe", "asgi:app --port %HTTP_PLATFORM_PORT%"),
    "hypercorn": (rf"{SCRIPTS}\hypercorn.exe", "-b 127.0.0.1:%HTTP_PLATFORM_PORT% asgi:app"),
    "granian": (rf"{SCRIPTS}\granian.exe", "--interface asgi --port %HTTP_PLATFORM_PORT% asgi:app"),
    "waitress": (
        rf"{SCRIPTS}\waitress-serve.exe",
        "--listen=localhost:%HTTP_PLATFORM_PORT% wsgi:app",
    ),
    "gunicorn": (rf"{SCRIPTS}\gunicorn.exe", "-w 2 -b 127.0.0.1:%HTTP_PLATFORM_PORT% wsgi:app"),
    "tornado": (PYTHON, "tornado_app.py"),
    "django": (PYTHON, "manage.py runserver %HTTP_PLATFORM_PORT%"),
    "node": ("node.exe", "server.js %HTTP_PLATFORM_PORT%"),
}


@pytest.fixture(scope="module")
def servers(platform: Platform) -> Iterator[str]:
    """Give a site into whose Python the servers have been installed by pip."""
    site = "hp-servers"
    platform.homeport("site", "create", site)
    platform.homeport("extension", "add", site, "python3117x64")
    platform.write(site, FILES)
    packages = "uvicorn[standard] hypercorn granian waitress gunicorn tornado django"
    with platform.scm(site) as scm:
        scm.timeout = 300
        answer = scm.post(
            "/api/command",
            json={
                "command": rf"{PYTHON} -m pip install {packages}",
                "dir": "site\\wwwroot",
            },
        ).raise_for_status()
    assert answer.json()["ExitCode"] == 0, answer.json()
    yield site
    platform.homeport("site", "delete", site, "--yes", check=False)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("server", SERVERS)
def test_servers_of_every_kind_run(platform: Platform, servers: str, server: str) -> None:
    process, arguments = SERVERS[server]
    named = f'<environmentVariables><environmentVariable name="SERVED_BY" value="{server}"/></environmentVariables>'

    platform.write(servers, {"web.config": http_platform(process=process, arguments=arguments, inside=named)})

    eventually(lambda: platform.get(servers).text.startswith(server))
    assert {platform.get(servers).status_code for _ in range(20)} == {200}


@pytest.mark.timeout(400)
def test_a_web_socket_reaches_the_application_and_starts_it(platform: Platform, servers: str) -> None:
    process, arguments = SERVERS["uvicorn"]
    platform.write(servers, {"web.config": http_platform(process=process, arguments=arguments)})
    eventually(lambda: platform.get(servers).text.startswith("asgi"))
    make_cold(platform, servers)

    with web_socket(platform, servers) as client:
        client.send("one")
        assert client.recv() == "echo one"
        client.send("two")
        assert client.recv() == "echo two"


@pytest.mark.timeout(400)
def test_web_sockets_are_refused_where_they_are_switched_off(platform: Platform, servers: str) -> None:
    process, arguments = SERVERS["uvicorn"]
    on = http_platform(process=process, arguments=arguments)
    off = http_platform(process=process, arguments=arguments, more='<webSocket enabled="false"/>')
    platform.write(servers, {"web.config": off})

    def status() -> int:
        try:
            with web_socket(platform, servers):
                return 101
        except websockets.exceptions.InvalidStatus as refused:
            return refused.response.status_code

    eventually(lambda: status() == 503)
    assert platform.get(servers).text.startswith("asgi")
    platform.write(servers, {"web.config": on})
    eventually(lambda: status() == 101)
    platform.homeport("settings", "set", servers, "WEBSITE_WEBSOCKETS_ENABLED=0")
    eventually(lambda: status() == 503)
    platform.homeport("settings", "set", servers, "WEBSITE_WEBSOCKETS_ENABLED=1")
    eventually(lambda: status() == 101)


def web_socket(platform: Platform, site: str) -> websockets.sync.client.ClientConnection:
    """Open a WebSocket to a site."""
    return websockets.sync.client.connect(
        f"ws://{site}.localhost:{platform.port}/",
        sock=socket.create_connection(("127.0.0.1", platform.port)),
        open_timeout=60,
    )


def test_an_upgrade_to_anything_else_is_not_passed_on(platform: Platform, make_app: Make) -> None:
    make_app("hp-other", {"web.config": http_platform(), "server.py": SLOW})
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAA"}

    text = platform.get("hp-other", "/headers", headers=upgrade).text

    assert "h2c" not in text
    assert "pgrade" not in text
