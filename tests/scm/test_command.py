"""`/api/command` as HTTP (Kudu reference §1.1, §1.2; conformance list §15 items 14 to 16)."""

import pytest
from conftest import ScmProcess


@pytest.mark.parametrize("path", ["/api/command", "/command", "/API/Command/"])
def test_a_command_answers_with_its_three_members(shared_scm: ScmProcess, path: str) -> None:
    answer = shared_scm.client.post(path, json={"command": "echo hello", "dir": "site"})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json() == {"Output": "hello\n", "Error": "", "ExitCode": 0}


def test_another_exit_code_is_still_200(shared_scm: ScmProcess) -> None:
    answer = shared_scm.client.post("/api/command", json={"command": "exit 3"})

    assert (answer.status_code, answer.json()["ExitCode"]) == (200, 3)


def test_a_folder_that_is_not_there_is_200_with_exit_code_minus_one(shared_scm: ScmProcess) -> None:
    answer = shared_scm.client.post("/api/command", json={"command": "echo x", "dir": "no/such"})

    assert answer.status_code == 200
    assert (answer.json()["Output"], answer.json()["ExitCode"]) == (None, -1)


@pytest.mark.parametrize("body", [b"", b"  ", b"null", b"{", b"[1]", b'"text"', b"{'a' 'b'}"])
def test_a_body_that_is_no_object_is_400_without_a_body(shared_scm: ScmProcess, body: bytes) -> None:
    answer = shared_scm.client.post(
        "/api/command", content=body, headers={"Content-Type": "application/json"}
    )

    assert (answer.status_code, answer.content) == (400, b"")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_is_not_said_to_be_json_is_415(shared_scm: ScmProcess, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}

    assert (
        shared_scm.client.post("/api/command", content=b'{"command":"echo x"}', headers=headers).status_code
        == 415
    )


def test_the_single_quotes_of_the_wiki_are_read(shared_scm: ScmProcess) -> None:
    body = b"{'command': 'echo \"it\\'s\"', dir: '',}"

    answer = shared_scm.client.post("/api/command", content=body, headers={"Content-Type": "text/json"})

    assert answer.json()["Output"] == '"it\'s"\n'


def test_settings_are_in_the_environment_of_commands(scm: ScmProcess) -> None:
    scm.client.post("/api/settings", json={"FOO": "from settings"})

    assert (
        scm.client.post("/api/command", json={"command": "echo %FOO%"}).json()["Output"] == "from settings\n"
    )


def test_the_idle_timeout_is_read_from_the_settings_at_each_call(scm: ScmProcess) -> None:
    scm.client.post("/api/settings", json={"SCM_COMMAND_IDLE_TIMEOUT": "1"})

    answer = scm.client.post("/api/command", json={"command": "sleep 60"}).json()

    assert answer["ExitCode"] == -1
    assert "was aborted due to no output nor CPU activity for" in answer["Error"]
