"""The real SCM process over its Unix socket, as the agent starts it."""

import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

DEADLINE_SECONDS = 30.0
SITE = "hello"


class ScmProcess:
    """One site's SCM process and its home folder; the socket outlives the process, as the agent's does."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.home = folder / "home"
        (self.home / "site/wwwroot").mkdir(parents=True)
        (folder / "local/Temp").mkdir(parents=True)
        self.settings = dict(settings)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(str(folder / "scm.sock"))
        self._listening.listen(64)
        self.client = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(folder / "scm.sock")),
            base_url="http://hello.scm.localhost",
            timeout=DEADLINE_SECONDS,
        )
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        """Start a process on the socket."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMP": str(self.folder / "local/Temp"),
            "LOCAL_EXPANDED": str(self.folder / "local"),
            "WEBSITE_SITE_NAME": SITE,
            "WEBSITE_HOSTNAME": "hello.localhost",
            "WEBSITE_INSTANCE_ID": "0" * 64,
            **self.settings,
            **{
                f"APPSETTING_{name}": value
                for name, value in self.settings.items()
                if not name.startswith(("HOMEPORT_SCM_", "SCM_Arm"))
            },
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "homeport.scm"], stdin=self._listening.fileno(), env=environment
        )
        return self.process

    def close(self) -> None:
        """End the process and remove everything."""
        self.client.close()
        self.process.kill()
        self.process.wait()
        self._listening.close()

    @property
    def web_root(self) -> Path:
        """The content folder."""
        return self.home / "site/wwwroot"

    def deploy(self, files: "Mapping[str, bytes | str] | bytes", **query: str) -> httpx.Response:
        """Push a package at once and return the answer."""
        body = files if isinstance(files, bytes) else packed(files)
        return self.client.post("/api/zipdeploy", params=query, content=body)

    def latest(self) -> dict[str, Any]:
        """Wait until no deployment is under way and return the latest record."""
        answer = wait_for(
            lambda: (found := self.client.get("/api/deployments/latest")).status_code != 202 and found
        )
        value: dict[str, Any] = answer.json()
        return value

    def log_text(self, identity: str) -> str:
        """Return all messages of a deployment's log, children indented."""
        lines = []
        for entry in self.client.get(f"/api/deployments/{identity}/log").json():
            lines.append(entry["message"])
            if entry["details_url"]:
                lines += ["  " + child["message"] for child in self.client.get(entry["details_url"]).json()]
        return "\n".join(lines)


def packed(files: "Mapping[str, bytes | str]") -> bytes:
    """Make a zip; names that end in a slash are folders. Times are fixed, so equal content is equal."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 6))
            package.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def wait_for(look: Callable[[], Any], *, seconds: float = DEADLINE_SECONDS) -> Any:
    """Look again until there is something; fail at the deadline."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    made = Path(tempfile.mkdtemp(prefix="scm-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def start_scm(folder: Path) -> Iterator[Callable[..., ScmProcess]]:
    """Start one SCM process with the given app settings."""
    started: list[ScmProcess] = []

    def start(**settings: str) -> ScmProcess:
        process = ScmProcess(folder / str(len(started)), settings)
        started.append(process)
        return process

    yield start
    for process in started:
        process.close()


@pytest.fixture
def scm(start_scm: Callable[..., ScmProcess]) -> ScmProcess:
    """A site of its own."""
    return start_scm()


@pytest.fixture(scope="session")
def shared_scm() -> Iterator[ScmProcess]:
    """One site for tests that stay in folders of their own."""
    made = Path(tempfile.mkdtemp(prefix="scm-"))
    process = ScmProcess(made / "0", {})
    yield process
    process.close()
    shutil.rmtree(made, ignore_errors=True)
