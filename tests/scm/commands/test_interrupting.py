"""Ctrl+C at every step of a command line: its programs end, and no other one starts."""

import asyncio
import contextlib
import os

import pytest

from homeport.scm.commands.console import Console
from homeport.scm.commands.handles import Handles
from homeport.scm.commands.interpreter import Interpreter, LeaveConsole
from homeport.scm.commands.supervision import Family
from homeport.windows.layout import Layout

_DEADLINE_SECONDS = 60.0
_STEPS_OF_A_START = 40


async def interrupted(line: str, layout: Layout, *, steps: int) -> None:
    """Run a line that would last for hours, let the event loop turn `steps` times, interrupt, and await the end."""
    family = Family()
    interpreter = Interpreter(family)
    console = Console(layout=layout, directory=layout.home, environment={"PATH": os.defpath})
    nothing = os.open(os.devnull, os.O_RDWR)
    handles = Handles(stdin=nothing, stdout=nothing, stderr=nothing)
    try:
        running = asyncio.create_task(interpreter.run_typed(line, console, handles=handles))
        for _ in range(steps):
            await asyncio.sleep(0)
        interpreter.interrupt()
        async with asyncio.timeout(_DEADLINE_SECONDS):
            with contextlib.suppress(LeaveConsole):
                await running
        assert not family.is_running()
    finally:
        await asyncio.to_thread(family.kill)
        interpreter.close()
        os.close(nothing)


@pytest.mark.parametrize(
    "line", ["sleep 10000", "cd . & sleep 10000 & sleep 10000", "sleep 10000 | sleep 10000"]
)
def test_ctrl_c_is_never_lost_while_a_program_is_being_started(layout: Layout, line: str) -> None:
    for steps in range(_STEPS_OF_A_START):
        asyncio.run(interrupted(line, layout, steps=steps))
