"""One look at a folder's log files for all who follow them."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

from homeport.scm.log_files import Tail

_LOOK_SECONDS = 0.25
_READER_SECONDS = 0.02
"""The pause between two looks for each reader, if that is more: what they cost all together stays the same."""
_HELD_BYTES = 4 * 1024 * 1024


class Behind(Exception):
    """A reader was so slow that lines are gone; carries how many batches it missed."""

    def __init__(self, batches: int) -> None:
        super().__init__(batches)
        self.batches = batches


class LogFollowers:
    """The folders that are followed: each by one follower, while it has readers."""

    def __init__(self, *, stopping: asyncio.Event) -> None:
        self._stopping = stopping
        self._followers: dict[Path, _Follower] = {}

    @contextlib.asynccontextmanager
    async def reading(self, folder: Path) -> AsyncIterator["LogReader"]:
        """Read, for the length of the block, what is appended to the files of a folder (or to one file) from now on."""
        follower = self._followers.get(folder)
        if follower is None:
            follower = self._followers[folder] = _Follower(folder)
        follower.readers += 1
        try:
            yield LogReader(follower, number=await follower.start(self._stopping))
        finally:
            follower.readers -= 1
            if not follower.readers:
                del self._followers[folder]
                follower.end()


class LogReader:
    """One reader's position among the batches of a follower."""

    def __init__(self, follower: "_Follower", *, number: int) -> None:
        self._follower = follower
        self._number = number

    async def next_lines(self, *, until: float) -> bytes:
        """Wait for new lines, each ended by a line feed; nothing at the time `until` (monotonic) or at the end.

        Raises `Behind` when lines are gone; the next call goes on with the oldest that are left.
        """
        follower = self._follower
        if self._number == follower.next_number:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, until - time.monotonic())):
                    await follower.grown.wait()
        missed = follower.first_number - self._number
        if missed > 0:
            self._number = follower.first_number
            raise Behind(missed)
        lines = follower.batches_from(self._number)
        self._number = follower.next_number
        return lines


class _Follower:
    """Looks at the files of one folder again and again; the newest batches of lines are held for slow readers."""

    def __init__(self, folder: Path) -> None:
        self.readers = 0
        self.grown = asyncio.Event()
        self.next_number = 0
        self._batches: deque[bytes] = deque()
        self._held = 0
        self._tail = Tail(folder)
        self._looking = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def first_number(self) -> int:
        """The number of the oldest batch that is held."""
        return self.next_number - len(self._batches)

    async def start(self, stopping: asyncio.Event) -> int:
        """See to it that the folder is followed; returns the number of the first batch that a new reader has to get."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow(stopping))
            async with self._looking:
                await asyncio.to_thread(self._tail.look, from_end=True)
        else:
            await self._look()  # what was written until now is for the others
        return self.next_number

    def end(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()

    def batches_from(self, number: int) -> bytes:
        """Return the lines of all batches from this one on."""
        count = self.next_number - number
        if count == 1:
            return self._batches[-1]
        return b"".join(list(self._batches)[len(self._batches) - count :]) if count else b""

    async def _follow(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), max(_LOOK_SECONDS, self.readers * _READER_SECONDS))
            await self._look()
        self.grown.set()

    async def _look(self) -> None:
        async with self._looking:
            lines = await asyncio.to_thread(self._read)
        if not lines:
            return
        self._batches.append(lines)
        self.next_number += 1
        self._held += len(lines)
        while self._held > _HELD_BYTES and len(self._batches) > 1:
            self._held -= len(self._batches.popleft())
        self.grown.set()
        self.grown = asyncio.Event()

    def _read(self) -> bytes:
        with contextlib.suppress(OSError):  # the folder went meanwhile
            return b"".join(self._tail.new_lines())
        return b""
