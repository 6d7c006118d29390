"""A deployment and an installation are under way when the agent, or the whole machine, is killed at ten points of them."""

import io
import os
import signal
import sys
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import httpx
import pytest
from asyncinotify import Inotify, Mask

from acceptance.running import Platform, descendants, eventually, running_platform

MACHINE = "the machine"
POINTS = (0.02, 0.1, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
"""Parts of all changes on disk; half of the points are around the end, where the versions change places."""
NAMES = [f"folder{number % 3}/{number}.txt" for number in range(24)]
CHANGES = Mask.CREATE | Mask.DELETE | Mask.MOVED_FROM | Mask.MOVED_TO | Mask.CLOSE_WRITE | Mask.ATTRIB
NUSPEC = "<package><metadata><id>Tool</id><version>1.0.{}</version></metadata></package>"


def content(version: int) -> dict[str, str]:
    """Return files that all tell their version, and one that no other version has."""
    return {name: str(version) for name in (*NAMES, f"only{version}.txt")}


def packed(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        for name, text in files.items():
            package.writestr(name, text)
    return buffer.getvalue()


def deploy(scm: httpx.Client, version: int) -> httpx.Response:
    return scm.post("/api/zipdeploy", params={"message": str(version)}, content=packed(content(version)))


def deployed(scm: httpx.Client) -> int | None:
    """Return the version that the record says is served; None while nobody answers or something is under way."""
    answer = scm.get("/api/deployments")
    if answer.status_code != 200 or not all(record["complete"] for record in answer.json()):
        return None
    (active,) = (record for record in answer.json() if record["active"])
    assert all(record["status"] in {3, 4} for record in answer.json())
    assert active["status"] == 4
    return int(active["message"])


def install(scm: httpx.Client, version: int) -> httpx.Response:
    files = {f"content/{name}": text for name, text in content(version).items()}
    script = {"content/install.cmd": "@copy folder0\\0.txt made.txt\r\n"}
    return scm.put(
        "/api/siteextensions/Tool",
        content=packed({"Tool.nuspec": NUSPEC.format(version), **files, **script}),
        headers={"content-type": "application/octet-stream"},
    )


def installed(scm: httpx.Client) -> int | None:
    """Return the version that is listed; None while nobody answers."""
    answer = scm.get("/api/siteextensions")
    if answer.status_code != 200:
        return None
    (tool,) = answer.json()
    return int(tool["version"].rpartition(".")[2])


@dataclass(frozen=True)
class Work:
    """What a site is at when it is stopped: how a version comes, what the record says, where its files are."""

    site: str
    start: Callable[[httpx.Client, int], httpx.Response]
    recorded: Callable[[httpx.Client], int | None]
    folder: str
    host: str
    path: str
    made: tuple[str, ...] = ()

    def home(self, platform: Platform) -> Path:
        """Return the site's home."""
        return platform.data / "sites" / self.site / "home"

    def files(self, platform: Platform) -> dict[str, str]:
        """Return the texts on disk by their names."""
        folder = self.home(platform) / self.folder
        return {
            path.relative_to(folder).as_posix(): path.read_text().strip() for path in folder.rglob("*.txt")
        }

    def whole(self, version: int) -> dict[str, str]:
        """Return what `files` gives when one version stands, whole."""
        return content(version) | {name: str(version) for name in self.made}

    def client(self, platform: Platform, scm: httpx.Client) -> httpx.Client:
        """Return a client of the SCM site with another one's credentials."""
        return platform.client(f"{self.site}.scm.localhost", auth=scm.auth)

    def pages(self, platform: Platform, scm: httpx.Client) -> set[str]:
        """Return what visitors see of all files that every version has."""
        with platform.client(f"{self.site}.{self.host}", auth=scm.auth) as client:
            return {client.get(f"{self.path}/{name}").text for name in NAMES}


WORKS = (
    Work("deployed", deploy, deployed, "site/wwwroot", "localhost", ""),
    Work("extended", install, installed, "SiteExtensions/Tool", "scm.localhost", "/Tool", ("made.txt",)),
)


def halt_at(platform: Platform, work: Work, scm: httpx.Client, version: int, change: int) -> int:
    """Start a version's way in and halt the site's processes at the n-th change of its home; return how many there were."""
    home = work.home(platform)
    processes = processes_of(platform, home.stat().st_uid)  # looked for now, so that the halt is at once
    seen = 0
    with Inotify(sync_timeout=0.05) as inotify:

        def watch(root: Path) -> None:
            for folder, _, _ in os.walk(root):
                with suppress(OSError):
                    inotify.add_watch(folder, CHANGES | Mask.ONLYDIR)

        def call() -> None:
            with suppress(httpx.TransportError):
                work.start(scm, version)

        watch(home)
        caller = threading.Thread(target=call)
        caller.start()
        running = True
        while running:
            running = caller.is_alive()
            for event in inotify:
                seen += 1
                if seen == change:
                    for pid in processes:
                        with suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGSTOP)
                    return seen
                if event.mask & Mask.ISDIR and event.mask & (Mask.CREATE | Mask.MOVED_TO) and event.path:
                    watch(event.path)
    return seen


def replaced(platform: Platform, part: str, killed: int) -> bool:
    return platform.pids(part) not in ([], [killed])


def processes_of(platform: Platform, user: int) -> list[int]:
    found = []
    for pid in descendants(platform.process.pid):
        with suppress(OSError):
            if Path(f"/proc/{pid}").stat().st_uid == user:
                found.append(pid)
    return found


@pytest.mark.parametrize(
    ("part", "points"),
    [("homeport.node", POINTS[::2]), ("homeport.node", POINTS[1::2]), (MACHINE, POINTS)],
    # Two platforms for the agent: one that ends often is started again later each time.
    ids=["agent, five points", "agent, the others", MACHINE],
)
@pytest.mark.timeout(300)
def test_killed_at_any_point_one_version_stands_whole_and_the_record_says_which(
    part: str, points: tuple[float, ...], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    tmp_path.chmod(0o711)
    interrupted: set[Work] = set()
    with ExitStack() as stack, ThreadPoolExecutor() as threads:
        platform = stack.enter_context(running_platform(data))
        for work in WORKS:
            platform.homeport("site", "create", work.site)
        scms = [stack.enter_context(platform.scm(work.site)) for work in WORKS]
        for work, scm in zip(WORKS, scms, strict=True):
            work.start(scm, 1).raise_for_status()
        totals = [halt_at(platform, work, scm, 2, sys.maxsize) for work, scm in zip(WORKS, scms, strict=True)]

        for new, point in zip(count(3, 2), points):
            changes = [max(1, int(total * point)) for total in totals]
            list(threads.map(partial(halt_at, platform), WORKS, scms, [new] * 2, changes))
            if part == MACHINE:
                platform.stop_like_a_machine()
                platform = stack.enter_context(running_platform(data))
                scms = [
                    stack.enter_context(work.client(platform, scm))
                    for work, scm in zip(WORKS, scms, strict=True)
                ]
            else:
                agent = platform.pid(part)
                os.kill(agent, signal.SIGKILL)
                eventually(partial(replaced, platform, part, agent))

            news = list(threads.map(partial(goes_on, platform), WORKS, scms, [new] * 2))
            interrupted |= {work for work, is_new in zip(WORKS, news, strict=True) if not is_new}

    assert interrupted == set(WORKS)  # the kills came in time


def goes_on(platform: Platform, work: Work, scm: httpx.Client, new: int) -> bool:
    """Check what stands after the kill, bring the version after next; return whether the new version stood."""
    version = stands(platform, work, scm)
    assert version in {new - 1, new}
    work.start(scm, new + 1).raise_for_status()
    assert stands(platform, work, scm) == new + 1
    assert not list((work.home(platform) / "data/.homeport/extensions").glob("*/"))
    return version == new


def stands(platform: Platform, work: Work, scm: httpx.Client) -> int:
    """Return the version that the record names, once it is served whole."""
    version = -1

    def is_recorded() -> bool:
        nonlocal version
        version = work.recorded(scm) or -1
        return version > 0

    eventually(is_recorded)
    assert work.files(platform) == work.whole(version)
    eventually(lambda: work.pages(platform, scm) == {str(version)})
    return version
