"""httpPlatform: a web server behind Homeport beside the same server behind nginx, configured by hand."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from websockets.sync.client import connect

from bench.machine import command_line
from bench.processes import Program, start, wait_until
from bench.samples import HttpMeasure, HttpPlatformSample, Load
from bench.stacks.homeport import RUNTIME, Platform
from bench.stacks.nginx import Front, start_nginx
from bench.stacks.stack import EXPECTED, fetch, target
from bench.workshop import APPS
from bench.wrk import Target, command, run

CONNECTIONS = 32
ECHOES = 300
GONE_SECONDS = 30.0
READY_SECONDS = 60.0
SITE = "bench-http"
SERVERS = {
    "uvicorn": "-m uvicorn asgi:app --log-level warning --no-access-log --port {port}",
    "granian": "-m granian --interface asgi --log-level warning --port {port} asgi:app",
}
_REQUIREMENTS = b"uvicorn[standard]\ngranian\n"
_FORWARDED = (
    "proxy_http_version 1.1;",
    "proxy_set_header Host $http_host;",
    "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
    "proxy_set_header X-Forwarded-Proto $scheme;",
)
_PLAIN = (*_FORWARDED, 'proxy_set_header Connection "";')
_UPGRADING = (
    *_FORWARDED,
    "proxy_set_header Upgrade $http_upgrade;",
    "proxy_set_header Connection upgrade;",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPlan:
    """How often each pair is measured, and for how many seconds a load lasts."""

    rounds: int
    seconds: int


def measure_http_platform(platform: Platform, *, plan: HttpPlan) -> Iterator[HttpPlatformSample]:
    """Yield pairs measured one right after the other, all on the server's core, with one process each.

    Homeport and nginx by hand begin in turns, so that what changes with time on the machine hits both alike.
    """
    with platform:
        _make_site(platform)
    for server in SERVERS:
        with platform:
            platform.write(SITE, {**_content(), "web.config": web_config(server).encode()})
        with platform:
            yield from _measure(platform, server, plan=plan)


def web_config(server: str) -> str:
    """Write the configuration of a site that runs one of the servers."""
    arguments = SERVERS[server].format(port="%HTTP_PLATFORM_PORT%")
    return f"""<configuration><system.webServer>
<handlers><add name="app" path="*" verb="*" modules="httpPlatformHandler" resourceType="Unspecified"/></handlers>
<httpPlatform processPath="D:\\home\\{RUNTIME}\\python.exe" arguments="{arguments}"/>
</system.webServer></configuration>
"""


def _content() -> dict[str, bytes]:
    return {"asgi.py": (APPS / "asgi.py").read_bytes(), "requirements.txt": _REQUIREMENTS}


def _make_site(platform: Platform) -> None:
    if (platform.data / "sites" / SITE).exists():
        return
    platform.workshop.say("httpPlatform: making the site")
    platform.command("site", "create", SITE)
    platform.command("extension", "add", SITE, RUNTIME)


def _measure(platform: Platform, server: str, *, plan: HttpPlan) -> Iterator[HttpPlatformSample]:
    own = platform.target(SITE, load=Load.HELLO)
    for round_number in range(-1, plan.rounds):
        platform.workshop.say(f"httpPlatform: {server}, {round_number + 1} of {plan.rounds}")
        _cool(platform)
        before = time.perf_counter()
        status, body = fetch(own)
        cold = time.perf_counter() - before
        if (status, body) != (200, EXPECTED[Load.HELLO]):
            raise RuntimeError(f"{server} behind Homeport was answered with status {status}")
        if round_number % 2:
            own_rate, own_echo = _rate(platform, own, plan=plan), _echo(own)
            peer_rate, peer_echo, listened = _measure_by_hand(platform, server, plan=plan)
        else:
            peer_rate, peer_echo, listened = _measure_by_hand(platform, server, plan=plan)
            own_rate, own_echo = _rate(platform, own, plan=plan), _echo(own)
        if round_number < 0:
            continue  # it only warms the machine's file cache
        for measure, mine, theirs in (
            (HttpMeasure.RATE, own_rate, peer_rate),
            (HttpMeasure.ECHO, own_echo, peer_echo),
            (HttpMeasure.COLD, cold, listened),
        ):
            yield HttpPlatformSample(server=server, measure=measure, own=mine, peer=theirs)


def _measure_by_hand(platform: Platform, server: str, *, plan: HttpPlan) -> tuple[float, float, float]:
    """Return requests per second, the median round trip and how long the server took to listen, in seconds."""
    with _by_hand(platform, server, _PLAIN) as (peer, listened):
        rate = _rate(platform, peer, plan=plan)
    with _by_hand(platform, server, _UPGRADING) as (peer, _):
        return rate, _echo(peer), listened


def _rate(platform: Platform, where: Target, *, plan: HttpPlan) -> float:
    words = command(where, core=platform.workshop.cores.client, connections=CONNECTIONS, seconds=plan.seconds)
    outcome = run(words)
    if outcome.failures or outcome.socket_errors:
        raise RuntimeError(f"{where.host}: {outcome.failures} bad answers, {outcome.socket_errors} lost")
    return outcome.requests / outcome.seconds


def _echo(where: Target) -> float:
    """Return the median time of a round trip on one WebSocket, in seconds."""
    host, _, port = where.url.removeprefix("http://").rstrip("/").partition(":")
    connection = socket.create_connection((host, int(port)))
    times = []
    with connect(f"ws://{where.host}:{port}/", sock=connection) as web_socket:
        for _ in range(ECHOES):
            before = time.perf_counter()
            web_socket.send("x" * 64)
            web_socket.recv()
            times.append(time.perf_counter() - before)
    return median(times)


@contextlib.contextmanager
def _by_hand(platform: Platform, server: str, headers: tuple[str, ...]) -> Iterator[tuple[Target, float]]:
    """Run the server alone and nginx before it; give its address and how long the server took to listen."""
    workshop = platform.workshop
    port, front_port = _free_port(), _free_port()
    python = platform.data / "sites" / SITE / "home" / RUNTIME / "bin/python"
    folder = workshop.run_folder
    folder.mkdir(parents=True, exist_ok=True)
    programs: list[Program] = []
    before = time.perf_counter()
    try:
        programs.append(
            start(
                [str(python), *SERVERS[server].format(port=port).split()],
                core=workshop.cores.server,
                log=folder / f"{server}.log",
                folder=platform.content(SITE),
            )
        )
        while not _listens(port):
            if time.perf_counter() - before > READY_SECONDS:
                raise RuntimeError(f"{server} does not listen; see {folder}/{server}.log")
            time.sleep(0.002)
        listened = time.perf_counter() - before
        front = Front(
            address=f"127.0.0.1:{port}",
            location=("proxy_pass http://application;", *headers),
            kept=0 if headers is _UPGRADING else 64,
        )
        programs.append(start_nginx(front, folder=folder, port=front_port, core=workshop.cores.server))
        where = target(Load.HELLO, port=front_port, host="localhost")
        wait_until(
            lambda: fetch(where)[0] == 200, seconds=READY_SECONDS, what="nginx by hand", program=programs[-1]
        )
        yield where, listened
    finally:
        for program in reversed(programs):
            program.stop()


def _cool(platform: Platform) -> None:
    ending = platform.members().site
    for process in platform.show(SITE)["processes"]:
        os.kill(process["pid"], signal.SIGKILL)
    # What is inside a sandbox ends after it, and is nobody's child meanwhile.
    wait_until(
        lambda: not platform.members().site and not any(map(command_line, ending)),
        seconds=GONE_SECONDS,
        what="the site's processes end",
    )


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
