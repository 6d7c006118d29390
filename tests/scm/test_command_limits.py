"""The time limits of commands and their streaming variant (Kudu reference §1.6, §15 item 36)."""

import json
import subprocess
from collections.abc import Callable

from conftest import ScmProcess, wait_for


def sleepers(seconds: str) -> str:
    return subprocess.run(
        ["pgrep", "-f", f"sleep {seconds}$"], capture_output=True, text=True, check=False
    ).stdout


def test_1_6_a_command_over_its_total_time_is_ended_though_it_is_busy(
    start_scm: Callable[..., ScmProcess],
) -> None:
    scm = start_scm(HOMEPORT_COMMAND_TIMEOUT="1")

    answer = scm.client.post(
        "/api/command", json={"command": "bash -c 'while true; do echo x; sleep 0.05; done'"}
    )

    result = answer.json()
    assert answer.status_code == 200
    assert (result["Output"], result["ExitCode"]) == (None, -1)
    assert "ran for longer than 1 seconds" in result["Error"]
    assert "HOMEPORT_COMMAND_TIMEOUT" in result["Error"]


def test_15_36_an_idle_command_is_ended_with_all_its_processes(start_scm: Callable[..., ScmProcess]) -> None:
    scm = start_scm(SCM_COMMAND_IDLE_TIMEOUT="1")

    result = scm.client.post("/api/command", json={"command": "echo before && sleep 371.5"}).json()

    assert "was aborted due to no output nor CPU activity for 1 seconds" in result["Error"]
    assert sleepers("371.5") == ""


def test_a_stream_gives_output_as_it_comes_and_the_exit_code_last(scm: ScmProcess) -> None:
    line = "echo one && mkdir wait && bash -c 'while [ ! -e go ]; do sleep 0.05; done; echo two >&2; exit 5'"
    with scm.client.stream("POST", "/api/homeport/command", json={"command": line}) as answer:
        lines = answer.iter_lines()
        first = json.loads(next(lines))
        (scm.home / "go").touch()
        rest = [json.loads(text) for text in lines]

    assert answer.headers["content-type"] == "application/x-ndjson"
    assert first == {"Output": "one\n"}
    assert {"Error": "two\n"} in rest
    assert rest[-1] == {"ExitCode": 5}


def test_a_character_cut_in_two_arrives_whole(scm: ScmProcess) -> None:
    (scm.home / "cut.sh").write_text("printf '\\303'; sleep 0.3; printf '\\274'")
    line = "bash cut.sh"
    answer = scm.client.post("/api/homeport/command", json={"command": line})

    values = [json.loads(text) for text in answer.text.splitlines()]
    assert "".join(value.get("Output", "") for value in values) == "ü"


def test_a_stream_whose_reader_leaves_ends_its_command(scm: ScmProcess) -> None:
    line = "echo started && sleep 373.5"
    with scm.client.stream("POST", "/api/homeport/command", json={"command": line}) as answer:
        lines = answer.iter_lines()  # dropping it would close the answer
        next(lines)
        wait_for(lambda: sleepers("373.5"))

    wait_for(lambda: sleepers("373.5") == "")


def test_an_aborted_stream_says_why(start_scm: Callable[..., ScmProcess]) -> None:
    scm = start_scm(HOMEPORT_COMMAND_TIMEOUT="1")

    answer = scm.client.post("/api/homeport/command", json={"command": "sleep 60"})

    last = json.loads(answer.text.splitlines()[-1])
    assert last["ExitCode"] == -1
    assert "longer than 1 seconds" in last["Error"]
