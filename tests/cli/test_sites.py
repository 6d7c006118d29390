import json
import os
import threading
from pathlib import Path

import pytest

from control.memory_agent import MemoryAgent, serving
from control.running import accepts, eventually, running_control

from .conftest import Keyboard


def test_a_created_site_is_printed_with_its_credentials(keyboard: Keyboard) -> None:
    site = keyboard.json("site", "create", "hello")

    assert {"name", "state", "url", "scm_url", "https_url", "publishing", "uid"} <= site.keys()
    assert set(site["publishing"]) == {"user", "password", "basic_auth"}


def test_for_a_person_the_same_stands_in_lines(keyboard: Keyboard) -> None:
    done = keyboard.type("site", "create", "hello")

    assert "user      $hello" in done.stdout
    assert "homeport extension add hello" in done.stderr


def test_the_list_is_plain_text_where_nobody_looks(hello: Keyboard) -> None:
    hello.control.call("POST", "/sites", 201, name="a-site-with-a-long-name-that-would-be-cut-in-80-columns")

    lines = hello.type("site", "list").stdout.splitlines()

    assert len(lines) == 3
    assert lines[0].split() == ["NAME", "STATE", "URL", "PYTHON", "HEALTH"]
    assert "\x1b" not in "".join(lines)
    assert any("a-site-with-a-long-name-that-would-be-cut-in-80-columns.localhost" in line for line in lines)


def test_a_shown_site_has_its_findings(hello: Keyboard) -> None:
    shown = hello.type("site", "show", "hello").stdout

    assert "warning   web.config: something" in shown
    assert "process   7 worker idle" in shown


def test_stop_and_start_change_the_state(hello: Keyboard) -> None:
    states = [hello.json("site", action, "hello")["state"] for action in ("stop", "start", "restart")]

    assert states == ["Stopped", "Running", "Running"]


def test_limits_are_changed_and_shown_in_a_persons_units(hello: Keyboard) -> None:
    shown = hello.type("site", "limits", "hello", "--memory", "4096", "--cpu", "none", "--processes", "1000")

    assert [line.split() for line in shown.stdout.splitlines()] == [
        ["memory", "4096", "MB"],
        ["cpu", "none"],
        ["processes", "1000"],
        ["body", "1024", "MB"],
    ]
    assert hello.agent.desired["hello"]["limits"] == {
        "memory_bytes": 4096 * 1024 * 1024,
        "cpu_percent": None,
        "processes": 1000,
        "request_body_bytes": 1024 * 1024 * 1024,
    }
    assert hello.json("site", "limits", "hello") == hello.agent.desired["hello"]["limits"]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--memory", "2 GB", "'2 GB' cannot be --memory: give a whole number above 0, or none."),
        ("--processes", "0", "'0' cannot be --processes"),
        ("--body", "none", "The limit request_body_bytes must be a whole number above 0."),
    ],
)
def test_a_limit_that_means_nothing_is_refused(option: str, value: str, said: str, hello: Keyboard) -> None:
    before = hello.agent.desired["hello"]["limits"]

    assert said in hello.type("site", "limits", "hello", option, value, status=1).stderr
    assert hello.agent.desired["hello"]["limits"] == before


def test_a_deletion_needs_a_yes(hello: Keyboard) -> None:
    hello.type("site", "delete", "hello", status=1)
    assert [site["name"] for site in hello.json("site", "list")] == ["hello"]

    hello.type("site", "delete", "hello", "--yes")

    assert hello.json("site", "list") == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["site", "create", "no spaces"], "cannot be the name of a site"),
        (["site", "create", "hello"], "exists already"),
        (["site", "show", "nobody"], "There is no site 'nobody'"),
        (["site", "show", "../hello"], "'../hello' cannot be the name of a site"),
        (["settings", "delete", "hello", "X"], "has no setting 'X'"),
        (["extension", "remove", "hello", "python361x64"], "has no 'python361x64'"),
        (["extension", "upgrade", "hello", "python361x64"], "homeport extension add hello python361x64"),
        (["logs", "nobody"], "There is no site 'nobody'"),
    ],
)
def test_a_failure_is_exit_code_1_and_one_sentence(hello: Keyboard, words: list[str], reason: str) -> None:
    done = hello.type(*words, status=1)

    assert done.stdout == ""
    assert done.stderr.startswith("homeport: ")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["site", "explode", "hello"],
        ["site", "show"],
        ["settings", "set", "hello", "novalue"],
        ["settings", "set", "hello", "=x"],
        ["deploy", "hello", "/does/not/exist"],
        ["up", "--http", "99999"],
        ["--unknown"],
    ],
)
def test_wrong_usage_is_exit_code_2(hello: Keyboard, words: list[str]) -> None:
    assert hello.type(*words, status=2).stderr


def test_settings_are_set_listed_and_deleted(hello: Keyboard) -> None:
    hello.type("settings", "set", "hello", "A=1", "B=x=y", "EMPTY=")
    hello.type("settings", "delete", "hello", "a")

    assert hello.json("settings", "list", "hello") == {"B": "x=y", "EMPTY": ""}


def test_the_gallery_marks_what_is_recommended(keyboard: Keyboard) -> None:
    assert "recommended" in keyboard.type("extension", "list").stdout
    assert keyboard.json("extension", "list")[0]["id"] == "python3117x64"


def test_an_added_extension_shows_progress_beside_the_result(hello: Keyboard) -> None:
    done = hello.type("extension", "add", "hello", "python361x64")

    assert done.stdout == "hello has Python 3.6.15 as D:\\home\\python361x64\n"
    assert done.stderr == "Copying\nserved by 3.6.15\n"
    assert hello.json("extension", "list", "--site", "hello")[0]["folder"] == "python361x64"


def test_an_extension_is_upgraded_and_removed_by_its_id_in_any_letter_case(hello: Keyboard) -> None:
    hello.type("extension", "add", "hello", "python361x64")

    hello.type("extension", "upgrade", "hello", "Python361x64")
    hello.type("extension", "remove", "hello", "Python361x64")

    assert hello.json("extension", "list", "--site", "hello") == []


def test_a_refused_extension_says_why(hello: Keyboard) -> None:
    hello.agent.install_error = {
        "code": "RuntimeNotFound",
        "message": "No Python here serves 'python999x64'.",
        "status": 404,
    }

    done = hello.type("extension", "add", "hello", "python999x64", status=1)

    assert done.stderr.endswith("homeport: No Python here serves 'python999x64'.\n")


def test_the_status_names_addresses_and_missing_protections(keyboard: Keyboard) -> None:
    assert "missing   cgroup memory" in keyboard.type("status").stdout
    assert keyboard.json("status")["domain"] == "localhost"


def test_without_a_platform_the_command_says_how_to_start_one(tmp_path: Path, keyboard: Keyboard) -> None:
    done = keyboard.type("site", "list", "--data", tmp_path, status=1)

    assert f"No platform runs on {tmp_path}; start it with: homeport up" in done.stderr


def test_what_a_killed_platform_left_is_not_taken_for_one(tmp_path: Path, keyboard: Keyboard) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"control_socket": str(tmp_path / "x.sock"), "pid": 2**22}))

    done = keyboard.type("site", "list", "--data", tmp_path, status=1)

    assert "start it with: homeport up" in done.stderr


def test_a_control_plane_that_is_being_started_again_is_waited_for(folder: Path, keyboard: Keyboard) -> None:
    location = {"control_socket": str(folder / "control.sock"), "pid": os.getpid()}
    (folder / "run.json").write_text(json.dumps(location))
    listed: list[object] = []
    with serving(MemoryAgent(), folder / "agent.sock"):
        eventually(lambda: accepts(folder / "agent.sock"))
        thread = threading.Thread(
            target=lambda: listed.append(keyboard.json("site", "list", "--data", folder))
        )
        thread.start()
        with running_control(folder):
            thread.join()

    assert listed == [[]]


def test_a_shell_can_complete_commands(keyboard: Keyboard) -> None:
    completion = {"_HOMEPORT_COMPLETE": "complete_bash", "COMP_WORDS": "homeport set", "COMP_CWORD": "1"}

    assert keyboard.type(**completion).stdout.split() == ["settings"]
