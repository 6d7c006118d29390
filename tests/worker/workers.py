"""Starts real workers the way the agent does."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homeport.worker import scoreboard as layout

SOURCE = Path(__file__).resolve().parents[2] / "src"
SITE = Path(__file__).parent / "site"
DEADLINE_SECONDS = 20


@dataclass
class Output:
    """The worker's stdout and stderr, as the agent's pipe sees them."""

    text: str = ""
    ended: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    def follow(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as stream:
            while data := stream.read1(65536):
                with self.changed:
                    self.text += data.decode(errors="replace")
                    self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait_for(self, text: str) -> str:
        with self.changed:
            found = self.changed.wait_for(lambda: text in self.text or self.ended, DEADLINE_SECONDS)
            assert found, f"no {text!r} in {self.text!r}"
            assert text in self.text, self.text
            return self.text


@dataclass
class Worker:
    """One running worker; `path` is where its pool listens."""

    process: subprocess.Popen[bytes]
    path: str
    output: Output
    board: int
    slot: int
    folder: Path

    def field(self, offset: int, size: int = 8) -> int:
        return int.from_bytes(os.pread(self.board, size, self.slot * layout.SLOT_SIZE + offset), "little")

    @property
    def state(self) -> int:
        return self.field(layout.STATE_OFFSET, 4)

    def wait_for_state(self, *states: int) -> None:
        wait_until(lambda: self.state in states or self.process.poll() is not None)
        assert self.state in states, (self.state, self.output.text)

    @property
    def requests(self) -> int:
        return self.field(layout.REQUESTS_OFFSET)

    @property
    def url(self) -> str:
        size = self.field(layout.URL_LENGTH_OFFSET, 2)
        return os.pread(self.board, size, self.slot * layout.SLOT_SIZE + layout.URL_OFFSET).decode()

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        return self.process.wait(DEADLINE_SECONDS)

    @property
    def reports(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in (self.folder / "failures").glob("*.json")]


def wait_until(condition: Any) -> None:
    """Poll what has no event of its own (shared memory), with a deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        os.sched_yield()


def listening(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(512)
    listener.setblocking(False)
    os.chmod(path, 0o666)
    return listener


@contextmanager
def worker(
    folder: Path,
    handler: str | None = "plain.app",
    *,
    accelerator: str,
    python: str | None = None,
    settings: list[tuple[str, str]] | None = None,
    environ: dict[str, str] | None = None,
    listener: socket.socket | None = None,
    path: str = "",
    board: int | None = None,
    slot: int = 0,
    ready: bool = True,
    shared: tuple[int, int] | None = None,
    source: Path = SOURCE,
    **options: Any,
) -> Iterator[Worker]:
    """Run one worker of a pool until the block is left."""
    own_listener = listener is None
    path = path or str(folder / "pool.sock")
    listener = listener or listening(path)
    if board is None:
        board = os.memfd_create("scoreboard")
        os.ftruncate(board, layout.SLOT_SIZE * 4)
    config = os.memfd_create("config")
    document = {
        "physical_path": str(SITE),
        "app_settings": [*([("WSGI_HANDLER", handler)] if handler is not None else []), *(settings or [])],
        "constant_params": {"SERVER_SOFTWARE": "Homeport/0.1", "GATEWAY_INTERFACE": "CGI/1.1"},
        "instance_max_requests": 10000,
        "failure_linger_seconds": 10,
        "failure_report": str(folder / "failures"),
        "accelerator": accelerator,
        **options,
    }
    os.write(config, json.dumps(document).encode())
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [python or os.path.realpath(sys.executable), str(source / "homeport/worker/launch.py")],
        stdin=listener,
        stdout=write_end,
        stderr=write_end,
        pass_fds=(config, board, *(shared or ())),
        env={
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOMEPORT_WORKER_CONFIG": str(config),
            "HOMEPORT_SCOREBOARD": f"{board}:{slot}",
            **({"HOMEPORT_CONNECTIONS": f"{shared[0]}:{shared[1]}"} if shared else {}),
            **({"LD_PRELOAD": os.environ["LD_PRELOAD"]} if "LD_PRELOAD" in os.environ else {}),
            **(environ or {}),
        },
        cwd="/",
    )
    os.close(write_end)
    os.close(config)
    output = Output()
    follower = threading.Thread(target=output.follow, args=(read_end,))
    follower.start()
    running = Worker(process, path, output, board, slot, folder)
    try:
        if ready:
            running.wait_for_state(layout.IDLE, layout.FAILED)
        yield running
    finally:
        process.kill()
        process.wait()
        follower.join()
        if own_listener:
            listener.close()
            os.close(board)
