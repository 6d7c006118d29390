"""A tenant swaps folders, files and hard links while the agent works among them: nothing outside is reached.

How long a race lasts is counted in operations of the agent; the tenant is a process of its own, so both really run at
the same time.
"""

import contextlib
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from homeport.model.errors import Forbidden, HomeportError, Invalid, NotFound, Unavailable
from homeport.model.preview import STAGING
from homeport.model.site import SiteConfig
from homeport.node.access_logs import FOLDER, AccessLog
from homeport.node.layout import NodeLayout
from homeport.node.log_files import LogFile
from homeport.node.preview_home import take_home
from homeport.node.site_home import remove_site_home
from homeport.node.tenant_files import TenantTree
from homeport.node.watcher import ContentWatcher

ROOT = os.geteuid() == 0
OWNER = 70123 if ROOT else None
"""The site's user, where the agent can give files away."""
needs_root = pytest.mark.skipif(not ROOT, reason="only root owns files of others")

_SWAP = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
one, other = map(os.fsencode, sys.argv[1:])
print(flush=True)
while True:
    libc.renameat2(-100, one, -100, other, 2)  # RENAME_EXCHANGE
"""
_PLANT = """
import contextlib, os, sys
place, outside = sys.argv[1:]
print(flush=True)
while True:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(place)
    with contextlib.suppress(FileExistsError):
        os.link(outside, place)
"""
_OPERATIONS = 1500
_MOST_OPERATIONS = 200_000


@contextlib.contextmanager
def tenant(script: str, *paths: Path) -> Iterator[None]:
    """Have another process repeat `script` meanwhile."""
    line = (sys.executable, "-c", script, *map(str, paths))
    with subprocess.Popen(line, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"\n"
            yield
        finally:
            process.kill()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the platform, with what a site might be after."""
    folder = tmp_path / "outside"
    (folder / "folder").mkdir(parents=True)
    for name in ("file", "old", "out.log", "folder/file"):
        (folder / name).write_text("secret")
        (folder / name).chmod(0o600)
    folder.chmod(0o700)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "sites/shop/home"
    (home / "site/folder").mkdir(parents=True)
    (home / "site/folder/file").write_text("inside")
    return home


def state(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Everything in a folder, itself included: owner, mode and content."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_uid,
            path.lstat().st_mode,
            path.read_text() if path.is_file() else "",
        )
        for path in (folder, *folder.rglob("*"))
    }


def race(act: Callable[[int], object]) -> None:
    """Do `act` many times, until it has both worked and been refused by an error that is documented."""
    worked = refused = 0
    for number in range(_MOST_OPERATIONS):
        try:
            act(number)
            worked += 1
        except (NotFound, Forbidden):
            refused += 1
        if number >= _OPERATIONS and worked and refused:
            return
    pytest.fail(f"{worked} worked and {refused} were refused: there was no race")


def _read(tree: TenantTree, _: int) -> None:
    assert tree.read("site/folder/file", limit=100) == b"inside"


def _write(tree: TenantTree, number: int) -> None:
    tree.write_new(f"site/folder/new{number % 500}", b"new", owner=OWNER)


def _append(tree: TenantTree, _: int) -> None:
    log = tree.open_append("site/folder/out.log", owner=OWNER)
    os.write(log, b"line\n")
    os.close(log)


def _make(tree: TenantTree, number: int) -> None:
    tree.make_folder(f"site/folder/made{number % 500}/below", owner=OWNER)


def _rename(tree: TenantTree, _: int) -> None:
    tree.rename("site/folder/old", "site/folder/new")
    tree.rename("site/folder/new", "site/folder/old")


def _list(tree: TenantTree, _: int) -> None:
    assert not tree.is_file("site/folder/folder/file")
    names = tree.names("site/folder")
    if names is None:
        raise NotFound("It was a link.")
    assert names == ["file"]


@pytest.mark.parametrize("act", [_read, _write, _append, _make, _rename, _list])
def test_a_folder_that_becomes_a_link_and_back_leads_nowhere(
    act: Callable[[TenantTree, int], None], home: Path, outside: Path
) -> None:
    link = home / "site/link"
    link.symlink_to(outside)
    before = state(outside)

    with tenant(_SWAP, home / "site/folder", link):
        race(lambda number: act(TenantTree(home), number))

    assert state(outside) == before


@pytest.mark.parametrize("act", [_read, _append])
def test_a_file_that_becomes_a_link_and_back_leads_nowhere(
    act: Callable[[TenantTree, int], None], home: Path, outside: Path
) -> None:
    name = "file" if act is _read else "out.log"
    (home / "site/folder" / name).write_text("inside")
    if OWNER is not None:
        os.chown(home / "site/folder" / name, OWNER, OWNER)
    (home / "site/link").symlink_to(outside / name)
    before = state(outside)

    with tenant(_SWAP, home / "site/folder" / name, home / "site/link"):
        race(lambda number: act(TenantTree(home), number))

    assert state(outside) == before


def test_logs_are_neither_written_nor_cleared_nor_renamed_through_a_link(home: Path, outside: Path) -> None:
    logs = home / FOLDER
    logs.mkdir(parents=True)
    (logs.parent / "link").symlink_to(outside)
    (outside / "out.log").write_bytes(bytes(10 * 1024 * 1024))
    for path in (outside / "out.log", outside / "file"):
        os.utime(path, (0, 0))
    before = state(outside)
    tree = TenantTree(home)
    config = SiteConfig(http_log_days=1)

    with tenant(_SWAP, logs, logs.parent / "link"):
        for _ in range(_OPERATIONS):
            AccessLog(tree, "shop", instance="0a1b2c", owner=OWNER).tidy(config)
            LogFile(tree, f"{FOLDER}/out.log", owner=OWNER).append(b"line\n")

    assert state(outside) == before


def test_only_folders_of_the_site_are_watched(home: Path, outside: Path) -> None:
    (home / "site/link").symlink_to(outside)
    (home / "site/folder/below").mkdir()
    watcher = ContentWatcher()
    seen: set[str] = set()

    def watch(_: int) -> None:
        watcher.watch("shop", TenantTree(home), lambda _: None)
        folders = watcher.folders("shop")
        watcher.unwatch("shop")
        seen.update(folders)
        if not {"site/folder/below", "site/link/below"} & set(folders):
            raise NotFound("It was missed.")

    with tenant(_SWAP, home / "site/folder", home / "site/link"):
        race(watch)

    assert seen <= {"", "site", "site/folder", "site/link", "site/folder/below", "site/link/below"}


def test_the_home_of_a_preview_is_taken_over_itself_or_not_at_all(tmp_path: Path, outside: Path) -> None:
    layout = NodeLayout(data=tmp_path, run=tmp_path / "run")
    staging = layout.home("shop") / STAGING
    staging.mkdir(parents=True)
    link = staging / "link"
    before = state(outside)

    with tenant(_SWAP, staging / "0a1b2c3d", link):
        for number in range(100):
            (staging / "0a1b2c3d").mkdir()
            link.symlink_to(outside)
            with contextlib.suppress(Invalid, NotFound):
                take_home(layout, "shop", f"shop--preview-{number}", "0a1b2c3d", owner=os.geteuid())
            remove_what_is_left(staging)

    assert state(outside) == before


def remove_what_is_left(folder: Path) -> None:
    """Empty a folder of links and empty folders, in which two names may change places meanwhile."""
    while names := os.listdir(folder):
        for name in names:
            with contextlib.suppress(OSError):
                (folder / name).unlink()
            with contextlib.suppress(OSError):
                (folder / name).rmdir()


def test_deleting_a_site_deletes_nothing_behind_a_link(tmp_path: Path, outside: Path) -> None:
    layout = NodeLayout(data=tmp_path, run=tmp_path / "run")
    folder, link = layout.home("shop") / "folder", layout.home("shop") / "link"
    before = state(outside)

    with tenant(_SWAP, folder, link):
        for _ in range(40):
            (folder / "folder").mkdir(parents=True)
            for name in ("file", "old", "out.log", "folder/file"):
                (folder / name).touch()
            link.symlink_to(outside)
            for _ in range(5):
                with contextlib.suppress(Unavailable):
                    remove_site_home(layout, "shop")
                    break

    assert state(outside) == before


def test_a_log_that_is_a_second_name_of_another_file_gives_way_to_a_new_one(home: Path) -> None:
    (home / "web.config").write_text("<configuration/>")
    (home / "out.log").hardlink_to(home / "web.config")

    LogFile(TenantTree(home), "out.log", owner=None).append(b"line\n")

    assert (home / "web.config").read_text() == "<configuration/>"
    assert (home / "out.log").read_bytes() == b"line\n"


@needs_root
@pytest.mark.parametrize("names", [1, 2])
def test_a_file_of_somebody_else_becomes_no_log(names: int, home: Path, outside: Path) -> None:
    (home / "out.log").hardlink_to(outside / "out.log")
    if names == 1:  # as it looks when the other name goes just after it was opened
        (outside / "out.log").rename(home / "aside")
        (home / "aside").unlink()
    before = state(outside)

    with (home / "out.log").open() as planted:
        LogFile(TenantTree(home), "out.log", owner=OWNER).append(b"line\n")

        assert planted.read() == "secret"
        assert os.fstat(planted.fileno()).st_uid == 0
    assert state(outside) == before
    assert (home / "out.log").read_bytes() == b"line\n"
    assert (home / "out.log").stat().st_uid == OWNER


@needs_root
def test_hard_links_planted_all_the_time_become_no_log(home: Path, outside: Path) -> None:
    before = state(outside)
    tree = TenantTree(home)

    with tenant(_PLANT, home / "site/place", outside / "file"):
        for _ in range(_OPERATIONS):
            with contextlib.suppress(Forbidden):
                log = tree.open_append("site/place", owner=OWNER)
                os.write(log, b"line\n")
                os.close(log)

    assert state(outside) == before


@needs_root
def test_a_hard_link_put_in_the_place_of_a_new_folder_keeps_its_owner(
    home: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(outside)
    make = os.mkdir

    def make_and_lose(name: str, mode: int, *, dir_fd: int) -> None:
        make(name, mode, dir_fd=dir_fd)
        os.rmdir(name, dir_fd=dir_fd)
        os.link(outside / "file", name, dst_dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", make_and_lose)

    with pytest.raises(NotFound):
        TenantTree(home).make_folder("data", owner=OWNER)

    assert state(outside) == before


@needs_root
def test_a_folder_that_a_killed_agent_left_is_given_to_the_site(home: Path) -> None:
    (home / "data").mkdir()

    TenantTree(home).make_folder("data/below", owner=OWNER)

    assert {(home / "data").stat().st_uid, (home / "data/below").stat().st_uid} == {OWNER}


def test_a_hard_link_in_the_place_of_a_preview_is_refused_and_keeps_its_mode(
    tmp_path: Path, outside: Path
) -> None:
    layout = NodeLayout(data=tmp_path, run=tmp_path / "run")
    staging = layout.home("shop") / STAGING
    staging.mkdir(parents=True)
    (staging / "0a1b2c3d").hardlink_to(outside / "file")

    with pytest.raises(HomeportError):
        take_home(layout, "shop", "shop--preview-0a1b2c3d", "0a1b2c3d", owner=None)

    assert stat.S_IMODE((outside / "file").stat().st_mode) == 0o600
    assert (outside / "file").read_text() == "secret"
