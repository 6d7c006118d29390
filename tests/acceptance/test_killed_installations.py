"""A Python is being installed when a part of the platform, or the whole machine, is killed."""

import os
import signal
import threading
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from acceptance.running import eventually, running_platform

SITE, PYTHON = "halfway", "python3117x64"
PATH = f"/api/siteextensions/{PYTHON}"
MACHINE = "the machine"


def copied(home: Path) -> int:
    """Return how many files of the Python are there, in its place or beside it."""
    return sum(len(files) for folder in home.glob(f".{PYTHON}*") for _, _, files in os.walk(folder))


@pytest.mark.parametrize(
    ("part", "points"),
    [("homeport.scm", (1, 600)), ("homeport.node", (0, 400, 800)), (MACHINE, (600,))],
    ids=["SCM app", "agent", MACHINE],
)
def test_a_killed_installation_leaves_the_whole_python_or_nothing(
    part: str, points: tuple[int, ...], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    home = data / "sites" / SITE / "home"
    tmp_path.chmod(0o711)
    with ExitStack() as stack:
        platform = stack.enter_context(running_platform(data))
        platform.homeport("site", "create", SITE)
        for point in points:
            scm = stack.enter_context(platform.scm(SITE))
            assert scm.get("/api/siteextensions").json() == []
            caller = threading.Thread(target=install, args=(scm,))
            caller.start()
            eventually(lambda point=point: copied(home) >= point)  # type: ignore[misc]

            if part == MACHINE:
                platform.stop_like_a_machine()
            else:
                os.kill(platform.pids(part)[-1], signal.SIGKILL)
            caller.join()
            if part == MACHINE:
                platform = stack.enter_context(running_platform(data))
                scm = stack.enter_context(platform.scm(SITE))

            # An installation goes on without the SCM app that asked for it.
            eventually(lambda scm=scm: found(scm) is not None and not list(home.glob(f".{PYTHON}*")))  # type: ignore[misc]
            assert (found(scm) == [PYTHON]) == (home / PYTHON).is_dir()
            eventually(lambda scm=scm: scm.put(PATH, timeout=300).status_code == 200)  # type: ignore[misc]
            assert works(scm)
            assert scm.delete(PATH, timeout=300).json() is True
            assert platform.json("extension", "list", "--site", SITE) == []


def install(scm: httpx.Client) -> None:
    try:
        scm.put(PATH, timeout=300)
    except httpx.TransportError:
        return  # who answers was killed


def found(scm: httpx.Client) -> list[str] | None:
    """Return what is installed; None while nobody answers."""
    answer = scm.get("/api/siteextensions")
    return [each["id"] for each in answer.json()] if answer.status_code == 200 else None


def works(scm: httpx.Client) -> bool:
    answer = scm.post("/api/command", json={"command": "python.exe -m pip -V", "dir": rf"\home\{PYTHON}"})
    return answer.status_code == 200 and answer.json()["ExitCode"] == 0


def test_a_python_whose_folder_is_gone_can_be_removed(tmp_path: Path) -> None:
    with running_platform() as platform:
        platform.homeport("site", "create", SITE)
        platform.homeport("extension", "add", SITE, PYTHON)
        home = platform.data / "sites" / SITE / "home"
        with platform.scm(SITE) as scm:
            scm.post("/api/command", json={"command": f"rmdir /s /q {PYTHON}"}).raise_for_status()
            assert scm.get("/api/siteextensions").json() == []

            removed = scm.delete(PATH)
            again = scm.delete(PATH)

        assert (removed.status_code, removed.json(), again.status_code) == (200, True, 404)
        assert platform.json("extension", "list", "--site", SITE) == []
        assert not (home / "SiteExtensions" / PYTHON).exists()
