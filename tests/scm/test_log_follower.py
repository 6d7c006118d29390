"""Many readers of one folder's log files share one look at them."""

import asyncio
import time
from collections.abc import Coroutine
from pathlib import Path

import pytest

from homeport.scm.log_follower import Behind, LogFollowers, LogReader

PATIENCE = 30.0


def run(work: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE))


async def next_lines(reader: LogReader) -> bytes:
    return await reader.next_lines(until=time.monotonic() + PATIENCE)


def append(folder: Path, data: bytes, *, name: str = "a.log") -> None:
    with (folder / name).open("ab") as file:
        file.write(data)


def test_every_reader_gets_the_lines_from_its_arrival_on(tmp_path: Path) -> None:
    async def work() -> None:
        followers = LogFollowers(stopping=asyncio.Event())
        append(tmp_path, b"before all\n")
        async with followers.reading(tmp_path) as first:
            append(tmp_path, b"one\n")
            async with followers.reading(tmp_path) as second:
                append(tmp_path, b"two\n")
                assert await next_lines(second) == b"two\n"
                assert await next_lines(first) == b"one\ntwo\n"

    run(work())


def test_the_others_go_on_when_a_reader_leaves(tmp_path: Path) -> None:
    async def work() -> None:
        followers = LogFollowers(stopping=asyncio.Event())
        async with followers.reading(tmp_path) as stays:
            async with followers.reading(tmp_path):
                pass
            append(tmp_path, b"after\n")
            assert await next_lines(stays) == b"after\n"

    run(work())


def test_what_is_written_while_nobody_reads_is_not_told_later(tmp_path: Path) -> None:
    async def work() -> None:
        followers = LogFollowers(stopping=asyncio.Event())
        async with followers.reading(tmp_path):
            pass
        append(tmp_path, b"unread\n")
        async with followers.reading(tmp_path) as reader:
            append(tmp_path, b"read\n")
            assert await next_lines(reader) == b"read\n"

    run(work())


def test_a_reader_that_is_too_slow_is_told_and_goes_on(tmp_path: Path) -> None:
    async def work() -> None:
        followers = LogFollowers(stopping=asyncio.Event())
        line = b"x" * 999 + b"\n"
        async with followers.reading(tmp_path) as slow, followers.reading(tmp_path) as quick:
            for _ in range(2):  # each time more than is held for slow readers, less than a look reads
                for number in range(25):
                    append(tmp_path, line * 200, name=f"{number}.log")
                total = 25 * 200 * len(line)
                while total > 0:
                    total -= len(await next_lines(quick))
            with pytest.raises(Behind):
                await next_lines(slow)
            assert await next_lines(slow)

    run(work())


def test_nothing_comes_when_time_is_up_or_the_site_stops(tmp_path: Path) -> None:
    async def work() -> None:
        stopping = asyncio.Event()
        async with LogFollowers(stopping=stopping).reading(tmp_path) as reader:
            assert await reader.next_lines(until=time.monotonic()) == b""
            stopping.set()
            assert await next_lines(reader) == b""

    run(work())
