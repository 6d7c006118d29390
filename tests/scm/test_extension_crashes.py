"""An installation of an extension killed at every step it takes on disk: afterwards one of the two versions stands, whole."""

import subprocess
import sys
from pathlib import Path

import pytest
from nuget_feeds import package

from homeport.scm.extensions.installed import Installed
from homeport.scm.extensions.packages import ExtensionFolders

INSTALL = """
import os, signal, sys
from pathlib import Path
from homeport.scm.deployments.archive import Bounds
from homeport.scm.extensions.packages import ExtensionFolders, Origin

home, package, last = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
folders = ExtensionFolders(home)
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.link", "os.symlink"}
count = 0

def hook(event, arguments):
    global count
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if event in CHANGES or writes:
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)

with folders.locked("Tool"):
    with folders.aside() as aside:
        copy = aside / "package.nupkg"
        copy.write_bytes(package.read_bytes())
        sys.addaudithook(hook)
        run = lambda folder, name, arguments: (folder / "made.txt").write_text("made by " + name)
        folders.install(copy, "Tool", origin=Origin(), bounds=Bounds(), run=run)
        print("done after", count)
"""
COMMON = {"content/install.cmd": "@exit 0", "content/app/a.txt": "a"}
OLD = package("Tool", "1.0.0", COMMON | {"content/version.txt": "old", "content/only-old.txt": "o"})
NEW = package("Tool", "2.0.0", COMMON | {"content/version.txt": "new", "content/only-new.txt": "n"})
MOST_STEPS = 200


def install(home: Path, data: bytes, *, killed_at: int) -> bool:
    """Install in a process of its own that is killed at its n-th change on disk; tell whether it got to the end."""
    file = home.parent / "package.nupkg"
    file.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", INSTALL, str(home), str(file), str(killed_at)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode in {0, -9}, done.stderr
    return done.returncode == 0


def state(home: Path) -> tuple[str | None, set[str]]:
    """Return the version that is listed after the next look, and the names of all files."""
    folders = ExtensionFolders(home)
    found = Installed(home, folders).find("Tool", origin="http://x")
    folder = home / "SiteExtensions/Tool"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return (found.version if found else None), names


@pytest.mark.parametrize("update", [False, True], ids=["first installation", "update"])
def test_after_a_kill_at_any_step_one_version_stands_whole(tmp_path: Path, *, update: bool) -> None:
    before: tuple[str | None, set[str]] = (None, set())
    after: tuple[str | None, set[str]] | None = None
    seen: set[str | None] = set()
    for step in range(1, MOST_STEPS):
        home = tmp_path / str(step) / "home"
        home.mkdir(parents=True)
        if update:
            assert install(home, OLD, killed_at=0)
            (home / "SiteExtensions/Tool/mine.cfg").write_text("mine")
            before = state(home)
            assert before[0] == "1.0.0"
        finished = install(home, NEW, killed_at=step)
        now = state(home)
        seen.add(now[0])
        if finished:
            after = now
            break
        if now[0] == "2.0.0":
            assert {"version.txt", "only-new.txt", "made.txt", "app/a.txt"} <= now[1]
            assert "only-old.txt" not in now[1]
            assert not update or "mine.cfg" in now[1]
        else:
            assert now == before, f"killed at step {step}"
        assert install(home, NEW, killed_at=0)
        assert state(home)[0] == "2.0.0", f"not to be installed again after step {step}"
        assert not list((home / "data/.homeport/extensions").iterdir()), f"left aside at step {step}"

    assert after is not None
    assert after[0] == "2.0.0"
    assert seen == {before[0], "2.0.0"}
    assert step > 10
