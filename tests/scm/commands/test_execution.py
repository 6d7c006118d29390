import asyncio
import contextlib
import os
import time
from pathlib import Path

import psutil
import pytest

from homeport.scm.commands.execution import execute
from homeport.windows.layout import Layout

from .conftest import Run


@pytest.mark.parametrize(
    ("directory", "shown"),
    [
        (None, r"D:\home"),
        ("", r"D:\home"),
        (r"site\wwwroot", r"D:\home\site\wwwroot"),
        ("Site/WWWroot", r"D:\home\site\wwwroot"),
        (r"\home\site", r"D:\home\site"),
        ("/home/site", r"D:\home\site"),
        (r"C:\HOME\site", r"D:\home\site"),
        (r"%HOME%\LogFiles", r"D:\home\LogFiles"),
    ],
)
def test_the_directory_is_found_as_kudu_finds_it(run: Run, directory: str | None, shown: str) -> None:
    assert run("cd", directory).output == f"{shown}\n"


@pytest.mark.parametrize("directory", ["nowhere", r"E:\x", r"\\server\share", "D:\\home\\a:b"])
def test_a_directory_that_is_not_there_is_an_answer_of_its_own(run: Run, directory: str) -> None:
    result = run("cd", directory)

    assert (result.output, result.exit_code) == (None, -1)
    assert directory in (result.error or "")


def test_an_empty_command_does_nothing(run: Run) -> None:
    result = run("")

    assert (result.output, result.error, result.exit_code) == ("", "", 0)


def test_lines_end_alike_and_a_missing_end_is_added(run: Run) -> None:
    assert run(r"printf 'a\r\nb\rc'").output == "a\nb\nc\n"


def test_bytes_that_are_not_utf_8_are_replaced(run: Run) -> None:
    assert run(r"printf 'a\377b\303\244'").output == "a\ufffdbä\n"


def test_output_beyond_the_limit_is_left_out_with_a_notice(run: Run) -> None:
    result = run("head -c 3000000 /dev/zero", output_limit_bytes=1000)

    assert result.exit_code == 0
    assert (result.output or "").startswith("\0" * 1000)
    assert "2999000 more bytes of output were left out" in (result.output or "")


def test_settings_and_places_are_in_the_environment(run: Run, home: Path) -> None:
    result = run("env", environment={"MY_SETTING": "x y"})

    lines = (result.output or "").splitlines()
    assert {f"HOME={home}", "HOMEDRIVE=D:", r"HOMEPATH=\home"} <= set(lines)
    assert f"DEPLOYMENT_TARGET={home}/site/wwwroot" in lines
    assert f"DEPLOYMENT_SOURCE={home}" in lines
    assert "MY_SETTING=x y" in lines


def test_a_silent_command_is_aborted_with_all_its_processes(run: Run, home: Path) -> None:
    result = run(
        'echo started & bash -c "echo $$ > pid; setsid sleep 1000 & sleep 1000; echo"',
        idle_timeout_seconds=0.3,
    )

    assert (result.output, result.exit_code) == (None, -1)
    assert "was aborted due to no output nor CPU activity for 0.3 seconds" in (result.error or "")
    assert "SCM_COMMAND_IDLE_TIMEOUT" in (result.error or "")
    assert not psutil.pid_exists(int((home / "pid").read_text()))
    assert not _processes_in(home)


def test_output_keeps_a_command_alive(run: Run) -> None:
    result = run("bash -c 'for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.2; done'", idle_timeout_seconds=0.5)

    assert result.exit_code == 0


def test_cpu_time_keeps_a_silent_command_alive(run: Run) -> None:
    result = run("timeout 1.6 sh -c 'while :; do :; done'", idle_timeout_seconds=0.4)

    assert result.exit_code == 124


def test_a_background_program_that_holds_the_output_is_waited_for(run: Run) -> None:
    assert run("bash -c '(sleep 0.3; echo late) & echo early'").output == "early\nlate\n"


def test_a_cancelled_request_kills_the_processes(home: Path, layout: Layout) -> None:
    async def cancel_when_started() -> None:
        task = asyncio.create_task(
            execute(
                "touch ready & sleep 1000", directory=None, environment={"PATH": os.defpath}, layout=layout
            )
        )
        deadline = time.monotonic() + 20
        while not (home / "ready").exists() or not _processes_in(home):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(cancel_when_started())

    assert not _processes_in(home)


def test_commands_run_side_by_side(home: Path, layout: Layout) -> None:
    async def meet() -> list[int]:
        lines = [
            "mkfifo a & bash -c 'until [ -p b ]; do sleep 0.01; done'",
            "mkfifo b & bash -c 'until [ -p a ]; do sleep 0.01; done'",
        ]
        environment = {"PATH": os.defpath}
        results = await asyncio.gather(
            *(execute(line, directory=None, environment=environment, layout=layout) for line in lines)
        )
        return [result.exit_code for result in results]

    assert asyncio.run(meet()) == [0, 0]


def test_no_descriptor_is_left_open(run: Run, home: Path) -> None:
    (home / "x").write_text("a\nb\n")
    lines = ["type x | findstr a | sort > y 2>&1", "for /f %i in ('type x') do echo %i", "nope", "echo $HOME"]
    for line in lines:
        run(line)
    before = len(os.listdir("/proc/self/fd"))

    for line in lines:
        run(line)

    assert len(os.listdir("/proc/self/fd")) == before


def _processes_in(home: Path) -> list[psutil.Process]:
    """Living processes whose HOME is this one."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
