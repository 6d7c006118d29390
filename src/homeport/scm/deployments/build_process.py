"""Runs one program of a build: its lines as they come, its end, and the idle timeout (Kudu reference §1.6, §4.5)."""

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from homeport.scm.deployments.output_lines import OutputLines, Say

if TYPE_CHECKING:
    from homeport.scm.commands.supervision import Family

_READ_BYTES = 64 * 1024
_TICK_SECONDS = 0.2
_LEFT_OPEN_SECONDS = 1.0


class IdleTimeout(Exception):
    """The program was ended because it neither wrote nor computed."""


def run_program(
    line: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    say: Say,
    say_error: Say,
    idle_seconds: float,
    checkpoint: Callable[[], None] = lambda: None,
) -> int:
    """Run a program to its end and return its exit code; `say` and `say_error` get its lines.

    `checkpoint` is called several times a second and may raise to stop the program. Raises `IdleTimeout` after two
    silent periods without CPU time, and `OSError` where the program cannot be started. All its processes are gone
    when this returns or raises.
    """
    from homeport.scm.commands.supervision import MARK, Family  # late: psutil is slow to load

    family = Family()
    process = subprocess.Popen(
        line,
        cwd=directory,
        env={**environment, MARK: family.mark},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    family.add(process.pid)
    try:
        _follow(
            process, family, say=say, say_error=say_error, idle_seconds=idle_seconds, checkpoint=checkpoint
        )
        return process.wait()
    finally:
        family.kill()
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _follow(
    process: "subprocess.Popen[bytes]",
    family: "Family",
    *,
    say: Say,
    say_error: Say,
    idle_seconds: float,
    checkpoint: Callable[[], None],
) -> None:
    from homeport.scm.commands.supervision import IdleWatch  # late, as above

    watch = IdleWatch(idle_seconds)
    watch.touch(time.monotonic())
    ended: float | None = None
    with selectors.DefaultSelector() as selector:
        for stream, told in ((process.stdout, say), (process.stderr, say_error)):
            assert stream is not None
            selector.register(stream, selectors.EVENT_READ, partial(_read, stream, OutputLines(told)))
        while selector.get_map():
            checkpoint()
            now = time.monotonic()
            for key, _ in selector.select(_TICK_SECONDS):
                watch.touch(now)
                if not key.data():
                    selector.unregister(key.fileobj)
            if process.poll() is not None:
                # A daemon that it left behind may hold the pipes open for ever.
                ended = ended or now
                if now - ended > _LEFT_OPEN_SECONDS:
                    break
            elif watch.is_due(now) and watch.is_idle(family.cpu_seconds(), now):
                raise IdleTimeout(
                    f"was aborted due to no output nor CPU activity for {idle_seconds:.0f} seconds. "
                    "You can increase the SCM_COMMAND_IDLE_TIMEOUT app setting (or WEBJOBS_IDLE_TIMEOUT) if needed."
                )


def _read(stream: IO[bytes], lines: OutputLines) -> bool:
    """Read what is there; False at the end of the stream."""
    data = os.read(stream.fileno(), _READ_BYTES)
    lines.feed(data)
    return bool(data)
