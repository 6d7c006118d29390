"""Changes of content reach the site they belong to, in bursts."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from homeport.node.tenant_files import TenantTree
from homeport.node.watcher import ContentWatcher
from homeport.scm.deployments.switching import exchange


def observe(folder: Path, act: Callable[[], None], until: str) -> set[str]:
    """Watch `folder`, do `act`, and return the paths told until `until` is among them."""

    async def main() -> set[str]:
        told: set[str] = set()
        seen = asyncio.Event()

        def notify(paths: frozenset[str]) -> None:
            told.update(paths)
            if until in told:
                seen.set()

        watcher = ContentWatcher()
        watcher.watch("hello", TenantTree(folder), notify)
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(watcher.run())
            act()
            await seen.wait()
            running.cancel()
        watcher.unwatch("hello")
        return told

    return asyncio.run(main())


def test_a_written_file_is_told(tmp_path: Path) -> None:
    assert observe(tmp_path, lambda: _write(tmp_path / "app.py"), "app.py") == {"app.py"}


def test_a_touched_file_is_told(tmp_path: Path) -> None:
    _write(tmp_path / "web.config")

    assert observe(tmp_path, (tmp_path / "web.config").touch, "web.config") == {"web.config"}


def test_a_file_renamed_into_place_is_told(tmp_path: Path) -> None:
    _write(tmp_path / "new")

    assert "app.py" in observe(tmp_path, lambda: _rename(tmp_path / "new", tmp_path / "app.py"), "app.py")


def test_a_file_in_a_folder_made_later_is_told(tmp_path: Path) -> None:
    def act() -> None:
        (tmp_path / "static/deep").mkdir(parents=True)
        _write(tmp_path / "static/deep/web.config")

    assert "static/deep/web.config" in observe(tmp_path, act, "static/deep/web.config")


def test_the_watched_folder_may_be_replaced_by_another(tmp_path: Path) -> None:
    for name in ("live", "next"):
        (tmp_path / name / "sub").mkdir(parents=True)
        _write(tmp_path / name / "sub/app.py")
    _write(tmp_path / "next/web.config")

    def act() -> None:
        exchange(tmp_path / "next", tmp_path / "live")
        exchange(tmp_path / "next", tmp_path / "live")
        exchange(tmp_path / "next", tmp_path / "live")

    assert observe(tmp_path / "live", act, "web.config") == {"sub", "sub/app.py", "web.config"}


def test_the_new_folder_is_watched_as_the_old_one_was(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    (tmp_path / "next").mkdir()

    async def main() -> None:
        told: asyncio.Queue[frozenset[str]] = asyncio.Queue()
        watcher = ContentWatcher()
        watcher.watch("hello", TenantTree(tmp_path / "live"), told.put_nowait)
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(watcher.run())
            _write(tmp_path / "next/marker")
            exchange(tmp_path / "next", tmp_path / "live")
            assert "marker" in await told.get()
            _write(tmp_path / "live/later.py")
            assert "later.py" in await told.get()
            running.cancel()

    asyncio.run(main())


def test_a_removed_file_is_told(tmp_path: Path) -> None:
    _write(tmp_path / "web.config")

    assert observe(tmp_path, (tmp_path / "web.config").unlink, "web.config") == {"web.config"}


def test_compiled_files_and_repositories_are_not_watched(tmp_path: Path) -> None:
    for name in ("__pycache__", ".git"):
        (tmp_path / name).mkdir()

    def act() -> None:
        _write(tmp_path / "__pycache__/app.pyc")
        _write(tmp_path / ".git/index")
        _write(tmp_path / "app.py")

    assert observe(tmp_path, act, "app.py") == {"app.py"}


def test_a_link_to_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "home/link").symlink_to(tmp_path / "outside")

    def act() -> None:
        _write(tmp_path / "outside/secret.py")
        _write(tmp_path / "home/app.py")

    assert observe(tmp_path / "home", act, "app.py") == {"app.py"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can lower a limit of the kernel for one program")
def test_more_folders_than_the_kernel_allows_are_said_once_with_the_remedy(tmp_path: Path) -> None:
    for name in "abcdef":
        (tmp_path / name).mkdir()
    program = f"""
import pathlib
from homeport.node.tenant_files import TenantTree
from homeport.node.watcher import ContentWatcher
pathlib.Path("/proc/sys/user/max_inotify_watches").write_text("3")
ContentWatcher().watch("hello", TenantTree(pathlib.Path({str(tmp_path)!r})), print)
"""
    line = ["unshare", "--user", "--map-root-user", sys.executable, "-c", program]
    done = subprocess.run(line, capture_output=True, text=True, check=True)

    assert done.stdout.count("watcher.no-more-folders") == 1
    assert "fs.inotify.max_user_watches" in done.stdout


def _write(path: Path) -> None:
    path.write_text("x")


def _rename(old: Path, new: Path) -> None:
    old.rename(new)


def test_who_catches_up_has_been_told_of_everything_before(tmp_path: Path) -> None:
    async def main() -> list[frozenset[str]]:
        told: list[frozenset[str]] = []
        watcher = ContentWatcher()
        watcher.watch("hello", TenantTree(tmp_path), told.append)
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(watcher.run())
            for name in ("one.py", "two.py"):
                _write(tmp_path / name)
                await watcher.catch_up("hello")
            running.cancel()
        watcher.unwatch("hello")
        return told

    assert asyncio.run(main()) == [{"one.py"}, {"two.py"}]
