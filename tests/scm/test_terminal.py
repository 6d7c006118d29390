"""The console's terminal: a real shell on a real pseudo-terminal behind a WebSocket (Kudu reference §10.2)."""

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil
import pytest
from conftest import DEADLINE_SECONDS, ScmProcess, wait_for
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, unix_connect

_MARKS = re.compile(r"\x1b\](?:7|133);[^\x07]*\x07")
_STYLES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[=>])")


class Terminal:
    """What a person sees: everything printed so far, without colours; `raw` has the escape sequences too."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.raw = ""

    def __repr__(self) -> str:
        return f"<Terminal that shows {self.text!r}>"

    @property
    def text(self) -> str:
        return _STYLES.sub("", _MARKS.sub("", self.raw))

    def type(self, text: str) -> None:
        self.connection.send(text.encode())

    def read_until(self, wanted: Callable[[str], Any]) -> Any:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not (found := wanted(self.text)):
            left = deadline - time.monotonic()
            assert left > 0, f"not seen: {self.text!r}"
            try:
                message = self.connection.recv(timeout=left)
            except TimeoutError:
                continue
            self.raw += message.decode() if isinstance(message, bytes) else message
        return found

    def expect(self, words: str) -> None:
        self.read_until(lambda text: words in text)

    def await_prompt(self, before: int = 0) -> None:
        """Read until a prompt that came after the position `before` of `raw` waits."""
        self.read_until(lambda _: re.search(r"\x1b\]133;A\x07.*[>$#]", self.raw[before:], re.DOTALL))

    def run(self, line: str) -> str:
        """Type a line at the prompt and return what is printed up to the next prompt."""
        before = len(self.raw)
        self.type(f"{line}\r")
        self.await_prompt(before)
        return _STYLES.sub("", _MARKS.sub("", self.raw[before:]))


@contextmanager
def opened(scm: ScmProcess, query: str = "", **headers: str) -> Iterator[Terminal]:
    with unix_connect(
        str(scm.folder / "scm.sock"),
        f"ws://hello.scm.localhost/api/homeport/terminal?{query}",
        additional_headers=headers,
        open_timeout=DEADLINE_SECONDS,
    ) as connection:
        yield Terminal(connection)


def shell_of(scm: ScmProcess) -> psutil.Process:
    children = psutil.Process(scm.process.pid).children()
    return next(child for child in children if "terminal.prompt" in str(child.cmdline()))


@pytest.fixture
def terminal(scm: ScmProcess) -> Iterator[Terminal]:
    """A CMD terminal at its first prompt."""
    with opened(scm, "columns=200") as started:
        started.expect(r"D:\home>")
        yield started


def test_cmd_shows_windows_paths_and_keeps_its_folder(terminal: Terminal) -> None:
    terminal.run(r"cd site\wwwroot")

    assert r"D:\home\site\wwwroot>" in terminal.text
    assert r"D:\home\site\wwwroot" in terminal.run("cd")


def test_cls_clears_the_screen_and_what_scrolled_off_it(terminal: Terminal) -> None:
    terminal.run("cls")

    assert "\x1b[2J\x1b[3J" in terminal.raw


def test_variables_last_from_line_to_line(terminal: Terminal) -> None:
    terminal.run("set GREETING=good day")

    assert "good day!" in terminal.run("echo %GREETING%!")


def test_the_page_is_told_the_folder_and_when_the_prompt_waits(scm: ScmProcess, terminal: Terminal) -> None:
    terminal.run(r"cd site\wwwroot")

    assert f"\x1b]7;file://{scm.home}/site/wwwroot\x07" in terminal.raw
    assert terminal.raw.count("\x1b]133;A") == terminal.raw.count("\x1b]133;C") + 1


def test_programs_have_the_terminal_and_its_size(terminal: Terminal) -> None:
    terminal.connection.send(json.dumps({"resize": [91, 33]}))

    assert "33 91" in terminal.run("stty size")


def test_ctrl_c_ends_the_program_and_the_prompt_comes_back(terminal: Terminal) -> None:
    terminal.type("echo begun & sleep 1000 & echo never\r")
    terminal.read_until(lambda text: re.search(r"^begun", text, re.MULTILINE))

    before = len(terminal.raw)
    terminal.type("\x03")
    terminal.await_prompt(before)

    assert "never" not in terminal.raw[before:]
    assert "still here" in terminal.run("echo still here")


def test_ctrl_c_ends_the_whole_line(scm: ScmProcess, terminal: Terminal) -> None:
    terminal.type(r"sleep 1000 & cd site & sleep 2000" + "\r")
    wait_for(lambda: [child for child in shell_of(scm).children() if child.name() == "sleep"])

    before = len(terminal.raw)
    terminal.type("\x03")
    terminal.await_prompt(before)

    assert "D:\\home\r\n" in terminal.run("cd")


def test_ctrl_c_at_the_prompt_drops_the_line(terminal: Terminal) -> None:
    before = len(terminal.raw)
    terminal.type("echo unwanted\x03")
    terminal.await_prompt(before)

    assert re.search("^wanted alone", terminal.run("echo wanted alone"), re.MULTILINE)


def test_an_interactive_program_can_be_talked_to(scm: ScmProcess, terminal: Terminal) -> None:
    terminal.type("tr a-z A-Z\r")
    wait_for(lambda: [child for child in shell_of(scm).children() if child.name() == "tr"])
    terminal.type("homer\r\x04")

    terminal.expect("HOMER")


def test_up_brings_the_last_line_back(terminal: Terminal) -> None:
    terminal.run("echo remembered")

    assert terminal.run("\x1b[A").count("remembered") >= 1


def test_tab_completes_names_in_any_case_with_quotes_where_needed(
    scm: ScmProcess, terminal: Terminal
) -> None:
    (scm.web_root / "Read me.txt").write_text("found it\n")

    assert "found it" in terminal.run("type site\\WWWROOT\\read\t")


def test_exit_ends_the_terminal_with_its_code(terminal: Terminal) -> None:
    terminal.type("exit 3\r")

    terminal.expect('{"exit": 3}')


def test_bash_is_a_shell_with_job_control(scm: ScmProcess) -> None:
    with opened(scm, "shell=bash&columns=200") as terminal:
        terminal.await_prompt()

        assert "no job control" not in terminal.text
        assert "value-6" in terminal.run("echo value-$((2 * 3))")
        terminal.run("cd site")
        assert f"\x1b]7;file://{scm.home}/site\x07" in terminal.raw


def test_when_the_page_leaves_everything_it_started_ends(scm: ScmProcess) -> None:
    with opened(scm) as terminal:
        terminal.expect(r"D:\home>")
        terminal.type("sleep 1000\r")
        shell = shell_of(scm)
        sleeping = wait_for(lambda: [child for child in shell.children() if child.name() == "sleep"])[0]

    wait_for(lambda: not sleeping.is_running())
    wait_for(lambda: not shell.is_running())


def test_a_killed_shell_leaves_nothing_behind(scm: ScmProcess) -> None:
    with opened(scm) as terminal:
        terminal.expect(r"D:\home>")
        shell = shell_of(scm)
        os.kill(shell.pid, signal.SIGKILL)
        terminal.expect('"exit": -9')


def test_a_sixth_terminal_ends_the_one_that_was_quiet_longest(scm: ScmProcess) -> None:
    with ExitStack() as stack:
        terminals = []
        for _ in range(6):
            terminals.append(stack.enter_context(opened(scm, "shell=bash")))
            terminals[-1].await_prompt()
        with pytest.raises(ConnectionClosed):
            terminals[0].expect("nothing that is ever printed")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://hello.localhost"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_another_sites_page_gets_no_terminal(shared_scm: ScmProcess, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus) as refused, opened(shared_scm, **headers):
        pass

    assert refused.value.response.status_code == 403


def test_there_is_no_websocket_elsewhere(shared_scm: ScmProcess) -> None:
    with (
        pytest.raises(InvalidStatus),
        unix_connect(str(shared_scm.folder / "scm.sock"), "ws://hello.scm.localhost/api/command"),
    ):
        pass


def test_the_process_ends_in_time_with_a_terminal_open(scm: ScmProcess) -> None:
    with opened(scm) as terminal:
        terminal.expect(r"D:\home>")
        scm.process.terminate()

        assert scm.process.wait(DEADLINE_SECONDS) == 0


@pytest.mark.parametrize(
    "junk",
    [
        "{",
        "[]",
        '{"resize": [1]}',
        '{"resize": [1e999, 1]}',
        '{"resize": ["a", {}]}',
        '{"resize": [-5, 99999999]}',
    ],
)
def test_a_broken_control_message_is_passed_over(terminal: Terminal, junk: str) -> None:
    terminal.connection.send(junk)

    assert "fine" in terminal.run("echo fine")
