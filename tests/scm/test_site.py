"""The process and its edge: routes, request ids, forged requests, pages, idle end, SIGTERM."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import httpx
import pytest
from conftest import ScmProcess, wait_for


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/api/nothing?x=1"),
        ("PATCH", "/api/vfs/"),
        ("GET", "/api/zipdeploy"),
        ("PUT", "/api/settings"),
    ],
)
def test_an_unknown_route_or_verb_is_404_with_a_json_string(
    shared_scm: ScmProcess, verb: str, path: str
) -> None:
    answer = shared_scm.client.request(verb, path)

    assert answer.status_code == 404
    assert answer.json() == f"No route registered for '{path}'"


@pytest.mark.parametrize("verb", ["HEAD", "OPTIONS"])
def test_head_and_options_of_an_unknown_route_are_405(shared_scm: ScmProcess, verb: str) -> None:
    assert shared_scm.client.request(verb, "/api/nothing").status_code == 405


def test_every_answer_carries_a_request_id(shared_scm: ScmProcess) -> None:
    client = shared_scm.client

    assert (
        client.get("/api/none", headers={"x-arr-log-id": "a", "x-ms-request-id": "b"}).headers[
            "x-ms-request-id"
        ]
        == "a"
    )
    assert client.get("/api/settings", headers={"x-ms-request-id": "b"}).headers["x-ms-request-id"] == "b"
    assert len(client.get("/api/vfs/none").headers["x-ms-request-id"]) == 36


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://hello.localhost"},
    ],
)
def test_a_page_of_another_site_can_change_nothing(shared_scm: ScmProcess, headers: dict[str, str]) -> None:
    client = shared_scm.client

    assert client.post("/api/command", json={"command": "echo x"}, headers=headers).status_code == 403
    assert client.post("/api/zipdeploy", content=b"x", headers=headers).status_code == 403
    assert client.put("/api/vfs/forged", content=b"x", headers=headers).status_code == 403


def test_the_sites_own_pages_and_plain_clients_may_write(shared_scm: ScmProcess) -> None:
    for headers in ({}, {"Origin": "http://hello.scm.localhost", "Sec-Fetch-Site": "same-origin"}):
        answer = shared_scm.client.post("/api/command", json={"command": "echo x"}, headers=headers)
        assert answer.status_code == 200


def test_readers_through_the_management_api_see_only_the_white_list(shared_scm: ScmProcess) -> None:
    client, reader = shared_scm.client, {"X-MS-VIA-EXTENSIONS-ROUTE": "1"}

    assert client.get("/api/settings", headers=reader).status_code == 401
    assert client.get("/api/vfs/", headers=reader).status_code == 401
    assert client.get("/api/deployments", headers=reader).status_code == 200
    contributor = reader | {"X-MS-CLIENT-ROLEBASED-CONTRIBUTOR": "1"}
    assert client.get("/api/settings", headers=contributor).status_code == 200


def test_environment_and_scm_info(shared_scm: ScmProcess) -> None:
    assert set(shared_scm.client.get("/api/environment").json()) == {"version"}
    info = shared_scm.client.get("/api/scm/info", headers={"X-Forwarded-Proto": "https"}).json()
    assert info == {"Type": 0, "GitUrl": "https://hello.scm.localhost/hello.git"}


def test_failures_are_shown_to_the_owner_and_escaped(scm: ScmProcess) -> None:
    folder = scm.home / "LogFiles/homeport/failures"
    folder.mkdir(parents=True)
    report = {
        "id": "another",
        "time": "2026-01-02T03:04:05Z",
        "headline": "ValueError: <script>alert(1)</script>",
        "traceback": 'File "app.py", line 3\n<img src=x>',
        "kind": "request",
        "python": "3.11.7",
        "handler": "app.wsgi_app",
        "method": "GET",
        "path": "/<b>",
    }
    (folder / "abc-1.json").write_text(json.dumps(report))

    landing = scm.client.get("/")
    page = scm.client.get("/failures/abc-1")

    assert landing.headers["content-type"] == "text/html; charset=utf-8"
    assert '<a href="/failures/abc-1">ValueError: &lt;script&gt;' in landing.text
    assert "&lt;img src=x&gt;" in page.text
    assert "<script>" not in landing.text + page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert scm.client.get("/api/homeport/failures").json()[0] == {**report, "id": "abc-1", "preview": ""}
    assert scm.client.get("/api/homeport/failures/abc-1").json()["handler"] == "app.wsgi_app"
    assert scm.client.get("/failures/none").status_code == 404
    assert scm.client.get("/api/homeport/failures/none").status_code == 404


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"[" * 100_000, b'{"headline":"' + b"x" * 600_000 + b'"}']
)
def test_a_hostile_failure_file_is_passed_over(scm: ScmProcess, content: bytes) -> None:
    folder = scm.home / "LogFiles/homeport/failures"
    folder.mkdir(parents=True)
    (folder / "bad.json").write_bytes(content)
    (folder / "odd.json").write_text('{"headline": {"a": 1}, "traceback": null, "time": 5}')
    os.mkfifo(folder / "fifo.json")
    (folder / "link.json").symlink_to("/etc/passwd")

    assert [failure["id"] for failure in scm.client.get("/api/homeport/failures").json()] == ["odd"]
    assert scm.client.get("/").status_code == 200
    assert scm.client.get("/failures/..%2f..%2fx").status_code == 404


def test_the_process_ends_by_itself_when_idle_and_the_next_one_takes_over(
    start_scm: Callable[..., ScmProcess],
) -> None:
    scm = start_scm(HOMEPORT_SCM_IDLE_SECONDS="0.3")

    assert scm.process.wait(timeout=20) == 0
    scm.start()
    assert scm.client.get("/api/settings").status_code == 200


def test_a_request_in_hand_keeps_the_process(start_scm: Callable[..., ScmProcess]) -> None:
    scm = start_scm(HOMEPORT_SCM_IDLE_SECONDS="0.3")

    answer = scm.client.post("/api/command", json={"command": "sleep 1.5"})

    assert answer.status_code == 200


def test_sigterm_ends_the_process_with_code_0(scm: ScmProcess) -> None:
    scm.client.get("/api/settings")
    scm.process.terminate()

    assert scm.process.wait(timeout=5) == 0


def test_sigterm_ends_a_process_with_a_command_and_a_stream_in_hand(scm: ScmProcess) -> None:
    (scm.home / "LogFiles").mkdir()
    answers: list[httpx.Response] = []
    body = {"command": "echo x > mark && sleep 61.5"}
    command = threading.Thread(target=lambda: answers.append(scm.client.post("/api/command", json=body)))
    with scm.client.stream("GET", "/api/logstream") as stream:
        lines = stream.iter_lines()
        next(lines)
        command.start()
        wait_for((scm.home / "mark").exists)
        scm.process.terminate()
        said = list(lines)
    scm.process.wait(timeout=5)
    command.join(20)

    assert "stopping" in said[-1]
    assert answers[0].json()["ExitCode"] == -1
    left = subprocess.run(["pgrep", "-f", "sleep 61.5$"], capture_output=True, text=True, check=False).stdout
    assert left == ""


def test_a_cold_start_loads_nothing_heavy() -> None:
    code = (
        "import sys, homeport.scm.serving\n"
        "print([name for name in ('httpx', 'psutil', 'lxml', 'rich', 'sqlalchemy', 'structlog') if name in sys.modules])"
    )

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert loaded.strip() == "[]"
