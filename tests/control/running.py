"""A control plane as the supervisor starts it, and the person who speaks to it."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

DEADLINE_SECONDS = 20.0


def eventually(condition: Callable[[], object]) -> None:
    """Wait until `condition()` is true; fail when it is not in time."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "not so in time"
        time.sleep(0.01)


@dataclass
class Control:
    """A running control plane."""

    folder: Path
    process: subprocess.Popen[bytes]
    http: httpx.Client
    auth: httpx.Client

    def call(self, method: str, path: str, status: int = 200, **body: Any) -> Any:
        """Send a request, expect its status, return the JSON."""
        response = self.http.request(method, path, json=body or None)
        assert response.status_code == status, response.text
        return response.json() if response.content else None

    def authorize(self, site: str, user: str, password: str, address: str = "192.0.2.1") -> httpx.Response:
        headers = {"X-Homeport-Site": site, "X-Real-IP": address}
        return self.auth.get("/authorize", headers=headers, auth=(user, password))

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def running_control(folder: Path, *, http_port: int = 8080) -> Iterator[Control]:
    """Start a control plane on a data folder, wait until it answers, stop it at the end."""
    sockets = {name: folder / f"{name}.sock" for name in ("agent", "control", "auth")}
    line = [sys.executable, "-m", "homeport.control", "--data", str(folder)]
    line += ["--agent-socket", str(sockets["agent"]), "--socket", str(sockets["control"])]
    line += ["--auth-socket", str(sockets["auth"]), "--http-port", str(http_port)]
    line += ["--https-port", "443"]
    with (folder / "control.log").open("ab") as log:
        process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=log, stderr=log)
    clients = [
        httpx.Client(
            transport=httpx.HTTPTransport(uds=str(sockets[name])), base_url="http://control", timeout=30
        )
        for name in ("control", "auth")
    ]
    control = Control(folder, process, *clients)
    try:
        eventually(lambda: _answers(control))
        yield control
    finally:
        for client in clients:
            client.close()
        if process.poll() is None:
            process.terminate()
        process.wait(10)
        assert process.stdin
        process.stdin.close()


def _answers(control: Control) -> bool:
    assert control.process.poll() is None, (control.folder / "control.log").read_text()
    return all(accepts(control.folder / f"{name}.sock") for name in ("control", "auth"))


def accepts(path: Path) -> bool:
    """Tell whether a Unix socket takes connections."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
