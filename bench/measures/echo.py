"""Keystrokes in the console's terminal: from the key to its echo, through nginx, the SCM site and the shell."""

import re
import time
from collections.abc import Iterator
from statistics import quantiles

from websockets.sync.client import ClientConnection

from bench.processes import StartError
from bench.samples import EchoSample
from bench.stacks.homeport import Platform
from bench.stacks.scm import ScmSite

_ESCAPES = re.compile(rb"\x1b(?:\][^\x07]*\x07|\[[0-9;?]*[A-Za-z]|[=>])")

SHELLS = ("cmd", "bash")
LINE = 40
"""Keys until the line is emptied again, as Ctrl+U does in both shells."""

PAUSE_SECONDS = 0.02
PROMPT_SECONDS = 30.0
QUIET_SECONDS = 0.2


def measure_echo(platform: Platform, scm: ScmSite, *, rounds: int, keys: int) -> Iterator[EchoSample]:
    """Yield, for each round and shell, `keys` round trips at the speed of a fast typist. Raises `StartError`."""
    for number in range(rounds):
        for shell in SHELLS:
            platform.workshop.say(f"keystrokes: {shell}, round {number + 1} of {rounds}")
            with scm.terminal(shell) as terminal:
                _await_prompt(terminal)
                cuts = quantiles(_echoes(terminal, keys=keys), n=100)
            yield EchoSample(shell=shell, round=number, keys=keys, p50=cuts[49], p99=cuts[98])


def _await_prompt(terminal: ClientConnection) -> None:
    deadline = time.monotonic() + PROMPT_SECONDS
    seen = b""
    while b"\x1b]133;A" not in seen:
        seen += _received(terminal, seconds=deadline - time.monotonic())
    _drain(terminal)


def _echoes(terminal: ClientConnection, *, keys: int) -> Iterator[float]:
    for count in range(keys):
        if count and count % LINE == 0:
            terminal.send(b"\x15")
            _drain(terminal)
        time.sleep(PAUSE_SECONDS)
        key = b"abcdefgh"[count % 8 :][:1]
        before = time.perf_counter()
        terminal.send(key)
        while key not in _printed(_received(terminal, seconds=PROMPT_SECONDS)):
            pass
        yield time.perf_counter() - before


def _received(terminal: ClientConnection, *, seconds: float) -> bytes:
    try:
        message = terminal.recv(timeout=seconds)
    except TimeoutError as error:
        raise StartError("the terminal prints nothing") from error
    return message if isinstance(message, bytes) else message.encode()


def _printed(data: bytes) -> bytes:
    """Leave out escape sequences, which hold letters, too."""
    return _ESCAPES.sub(b"", data)


def _drain(terminal: ClientConnection) -> None:
    while True:
        try:
            terminal.recv(timeout=QUIET_SECONDS)
        except TimeoutError:
            return
