"""What readers of the log stream cost the site that they read."""

import contextlib
import os
import selectors
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from bench.measures.meter import measure_undisturbed
from bench.processes import StartError, wait_until
from bench.samples import Load, LogReadersSample
from bench.stacks.homeport import Platform
from bench.stacks.scm import ScmSite
from bench.wrk import command

READERS = 50
CONNECTIONS = 32
LINES_A_SECOND = 100
BEATS_A_SECOND = 10
ARRIVAL_SECONDS = 30.0
PAIRS = 3


def measure_log_readers(
    platform: Platform, scm: ScmSite, *, site: str, rounds: int, seconds: int, foreign: float
) -> Iterator[LogReadersSample]:
    """Yield, for each round, the site under load without readers and with them; its log grows all the time.

    Three pairs make a round: what is looked for is a hundredth, and a single pair differs by a tenth by chance.
    """
    own = platform.target(site, load=Load.HELLO)
    words = command(own, core=platform.workshop.cores.client, connections=CONNECTIONS, seconds=seconds)
    for number in range(-1, rounds * PAIRS):  # the first pair only warms up
        for readers in (0, READERS) if number % 2 else (READERS, 0):
            platform.workshop.say(f"log readers: {readers}, pair {number + 1} of {rounds * PAIRS}")
            with (
                _growing(platform.content(site).parents[1] / "LogFiles/Application/bench.log"),
                _reading(scm, readers, core=platform.workshop.cores.client) as received,
            ):
                before = list(received)
                reading = measure_undisturbed(platform, words=words, foreign=foreign)
                if any(now == then for now, then in zip(received, before, strict=True)):
                    raise StartError("a reader of the log gets nothing")
            if number >= 0:
                yield LogReadersSample(
                    readers=readers,
                    round=number,
                    rate=reading.outcome.requests / reading.outcome.seconds,
                    cpu=reading.front_cpu + reading.site_cpu + reading.platform_cpu,
                    failures=reading.outcome.failures + reading.outcome.socket_errors,
                )


@contextlib.contextmanager
def _growing(path: Path) -> Iterator[None]:
    """Append lines to a log, as an application does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    lines = f"{'a line of an application log ' * 3}\n" * (LINES_A_SECOND // BEATS_A_SECOND)

    def write() -> None:
        with path.open("w", buffering=1) as file:
            while not stop.wait(1 / BEATS_A_SECOND):
                file.write(lines)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        path.unlink()


@contextlib.contextmanager
def _reading(scm: ScmSite, readers: int, *, core: int) -> Iterator[list[int]]:
    """Keep so many log streams open; the list grows by what each of them has received, in bytes."""
    streams = [_stream(scm) for _ in range(readers)]
    received = [0] * readers
    stop = threading.Event()

    def read() -> None:
        os.sched_setaffinity(0, {core})  # this thread's alone
        with selectors.DefaultSelector() as selector:
            for number, stream in enumerate(streams):
                selector.register(stream, selectors.EVENT_READ, number)
            while not stop.is_set():
                for key, _ in selector.select(timeout=1 / BEATS_A_SECOND):
                    received[key.data] += len(key.fileobj.recv(65536))  # type: ignore[union-attr]

    thread = threading.Thread(target=read)
    thread.start()
    try:
        wait_until(lambda: all(received), seconds=ARRIVAL_SECONDS, what="every reader of the log gets lines")
        yield received
    finally:
        stop.set()
        thread.join()
        for stream in streams:
            stream.close()


def _stream(scm: ScmSite) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", scm.port))
    head = f"GET /api/logstream HTTP/1.1\r\nHost: {scm.host}:{scm.port}\r\nAuthorization: {scm.authorization}\r\n\r\n"
    connection.sendall(head.encode())
    return connection
