"""A site is asked to fetch the package that it runs from, and holds up no other site."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from homeport.node import package_refresh
from homeport.node.package_refresh import PackageRefresh, runs_from_address


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, False),
        ({"WEBSITE_RUN_FROM_PACKAGE": "1"}, False),
        ({"website_run_from_package": "https://a/b.zip"}, True),
        ({"WEBSITE_RUN_FROM_ZIP": "http://a/b.zip"}, True),
        ({"OTHER": "https://a/b.zip"}, False),
    ],
)
def test_a_setting_with_an_address_is_one(settings: dict[str, str], expected: bool) -> None:
    assert runs_from_address(settings) is expected


def served(
    folder: Path, answers: list[bytes], then: Callable[[PackageRefresh, asyncio.Semaphore], Awaitable[None]]
) -> list[bytes]:
    """Run `then` beside a server that gives these answers and none afterwards; return what was asked."""
    asked: list[bytes] = []
    handling: set[asyncio.Task[None] | None] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handling.add(asyncio.current_task())
        asked.append((await reader.readuntil(b"\r\n")).rstrip())
        if not answers:
            await reader.read()
        elif text := answers.pop(0):
            writer.write(text)
        writer.close()

    async def main() -> None:
        server = await asyncio.start_unix_server(answer, str(folder / "scm.sock"))
        turn = asyncio.Semaphore(1)
        await then(PackageRefresh("hello", folder / "scm.sock", turn=turn), turn)
        server.close()
        await asyncio.gather(*(task for task in handling if task is not None))

    asyncio.run(main())
    return asked


def test_a_process_that_is_just_being_replaced_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_refresh, "_PAUSE_SECONDS", 0)

    async def then(refresh: PackageRefresh, _turn: asyncio.Semaphore) -> None:
        await refresh.run()

    answers = [b"", b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]
    assert served(tmp_path, answers, then) == [b"POST /api/homeport/package HTTP/1.1"] * 3


def test_many_that_ask_before_the_turn_comes_are_one(tmp_path: Path) -> None:
    async def then(refresh: PackageRefresh, turn: asyncio.Semaphore) -> None:
        async with turn:
            asking = [asyncio.create_task(refresh.run()) for _ in range(5)]
            await asyncio.sleep(0)
        await asyncio.gather(*asking)

    assert len(served(tmp_path, [b"HTTP/1.1 200 OK\r\n\r\n"], then)) == 1


def test_a_site_that_never_answers_gives_its_turn_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_refresh, "_SECONDS", 0.05)

    async def then(refresh: PackageRefresh, turn: asyncio.Semaphore) -> None:
        await refresh.run()
        assert not turn.locked()

    served(tmp_path, [], then)
