"""The same worker on every CPython that the machine has, old and new, with either loop."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from . import fcgi
from .fcgi import ask
from .workers import worker

OLDEST = (3, 6)


def interpreters() -> list[str]:
    """Find CPython 3.6 and newer: pyenv's, and those on PATH; one for each minor version."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    names = [Path("/usr/bin") / f"python3.{minor}" for minor in range(6, 20)]
    found: dict[str, str] = {}
    for path in [*sorted(root.glob("*/bin/python")), *names]:
        if path.exists():
            told = subprocess.run(
                [str(path), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                capture_output=True,
                text=True,
            ).stdout.strip()
            if told and tuple(map(int, told.split("."))) >= OLDEST:
                found.setdefault(told, str(path))
    return list(found.values())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "python" in metafunc.fixturenames:
        metafunc.parametrize("python", interpreters())


@pytest.mark.interpreters
def test_the_worker_serves(python: str, loop: str, tmp_path: Path) -> None:
    with worker(tmp_path, "plain.app", accelerator=loop, python=python) as running:
        assert ask(running.path, "/hello").body == b"Hello, world!"
        assert json.loads(ask(running.path, "/facts").body)["compiled"] is (loop == "require")
        assert ask(running.path, "/parts").body == b"a" + b"b" * 100000 + b"c"
        assert ask(running.path, "/echo", method="POST", body=b"e" * 300000).body == b"e" * 300000
        assert ask(running.path, "/echo", method="POST", body=b"small").body == b"small"
        assert len(ask(running.path, "/big?1000000").body) == 1000000
        assert ask(running.path, "/validated").status == "200 OK"
        assert ask(running.path, "/replaces").status == "503 Service Unavailable"
        assert ask(running.path, "/raises").status == "500 Internal Server Error"
        assert ask(running.path, "/raises_late").ends == []
        assert ask(running.path, "/child").body == b"'' 15"
        data = fcgi.request_bytes(fcgi.nginx_params(uri="/environ"), request=7)
        assert json.loads(fcgi.exchange(running.path, data).body)["HTTP_HOST"] == "shop.example"
        ask(running.path, "/prints")
        running.output.wait_for("printed to stdout\n")
        assert running.requests == 13
        assert running.terminate() == 0


@pytest.mark.interpreters
def test_a_failure_to_start_is_told(python: str, tmp_path: Path) -> None:
    with worker(tmp_path, "explodes.app", accelerator="off", python=python) as running:
        assert ask(running.path).status == "500 Internal Server Error"
        assert running.terminate() == 0
