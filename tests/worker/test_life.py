"""A worker's life: start, failure to start, signals, limits, streams, logs, reports."""

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from homeport.worker import scoreboard as layout

from . import fcgi
from .fcgi import ask
from .workers import SITE, SOURCE, Worker, listening, worker

Start = Callable[..., Worker]
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}: (.*)")


def test_the_process_looks_as_wfastcgi_left_it(start: Start) -> None:
    settings = [
        (" SPACED ", "value"),
        ("EMPTY", ""),
        ("TWICE", "first"),
        ("TWICE", "last"),
        ("PythonPath", "/one;;%WHERE%/two;%NOWHERE%"),
        ("WHERE", "/at"),
    ]
    running = start(settings=settings, environ={"TWICE": "inherited", "INHERITED": "yes"})
    facts = json.loads(ask(running.path, "/facts").body)

    assert facts["cwd"] == str(SITE)
    assert facts["path"][0] == "."
    assert facts["path"][-2:] == ["/one", "/at/two"]
    assert not [entry for entry in facts["path"] if "homeport" in entry or entry.endswith("/src")]
    assert {"SPACED": "value", "EMPTY": "", "TWICE": "last", "INHERITED": "yes"}.items() <= facts[
        "environ"
    ].items()
    assert facts["environ"]["PythonPath"] == "/one;;%WHERE%/two;%NOWHERE%"
    assert not [name for name in facts["environ"] if name.startswith("HOMEPORT_")]
    assert (facts["stdin"], facts["fd0"]) == ("", "")


def test_the_chosen_loop_runs(start: Start, loop: str) -> None:
    running = start()

    assert json.loads(ask(running.path, "/facts").body)["compiled"] is (loop == "require")


@pytest.mark.parametrize("handler", ["plain.app", "plain.make()", "plain.Holder.app", "plain.holder().app"])
def test_every_form_of_handler_serves(start: Start, handler: str) -> None:
    assert ask(start(handler).path).body == b"Hello, world!"


def test_a_change_within_the_same_second_is_served_though_its_size_is_the_same(
    start: Start, tmp_path: Path
) -> None:
    assert _answers_of_versions(start, tmp_path, second=int(time.time())) == [b"one", b"two"]
    assert not (tmp_path / "__pycache__").exists()


def test_code_that_has_settled_is_kept_compiled(start: Start, tmp_path: Path) -> None:
    _answers_of_versions(start, tmp_path, second=int(time.time()) - 60)

    assert [path.name.split(".")[0] for path in (tmp_path / "__pycache__").iterdir()] == ["versions"]


def _answers_of_versions(start: Start, folder: Path, *, second: int) -> list[bytes]:
    """Serve two versions of one size and one second of modification, one after another."""
    answers = []
    for version in ("one", "two"):
        source = folder / "versions.py"
        source.write_text(
            f"def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'{version}']\n"
        )
        os.utime(source, (second, second))
        running = start(
            "versions.app",
            path=str(folder / f"{version}.sock"),
            physical_path=str(folder),
            environ={"PYTHONDONTWRITEBYTECODE": ""},
        )
        answers.append(ask(running.path).body)
        assert running.terminate() == 0
    return answers


def test_prints_reach_the_log_line_by_line(start: Start) -> None:
    running = start()
    ask(running.path, "/prints")
    running.output.wait_for("printed to stdout\n")
    text = running.output.wait_for("written to wsgi.errors\n")

    assert "caf\u00e9 \\ud800 printed to stderr\n" in text


def test_a_child_process_gets_no_door_to_requests(start: Start) -> None:
    assert ask(start().path, "/child").body == b"'' %d" % signal.SIGTERM


def test_sigterm_ends_an_idle_worker_with_its_exit_tasks(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "wfastcgi.log"
    running = start("ends.app", settings=[("WSGI_LOG", str(log))])

    assert running.terminate() == 0
    running.output.wait_for("the application's exit task ran\n")
    assert running.state == layout.STOPPING
    lines = [LINE.fullmatch(line) for line in log.read_text().splitlines() if not line.startswith("[")]
    told = [line[1] for line in lines if line]
    assert told[0] == "wfastcgi.py 3.0.0 started"
    assert told[1].startswith("Python version: 3.")
    assert told[2:] == [
        "wfastcgi.py 3.0.0 initializing",
        "wfastcgi.py 3.0.0 initialized",
        "wfastcgi.py 3.0.0 closed",
    ]


def test_sigterm_waits_for_the_request_in_hand(start: Start) -> None:
    running = start()
    gate = str(running.folder / "gate")
    with fcgi.connect(running.path) as client:
        client.sendall(fcgi.request_bytes(fcgi.nginx_params(uri=f"/gate?{gate}")))
        client.recv(100)
        running.process.send_signal(signal.SIGTERM)
        open(gate, "w").close()
        rest = fcgi.receive(client)

    assert rest.stdout == b"after"
    assert rest.ends == [(1, 0)]
    assert running.wait() == 0


def test_sigterm_ends_a_start_that_takes_long(start: Start) -> None:
    running = start("waits.app", ready=False)
    running.output.wait_for("importing\n")

    assert running.state == layout.STARTING
    assert running.terminate() == 0


def test_requests_that_wait_are_left_for_the_other_workers(loop: str, tmp_path: Path) -> None:
    path = str(tmp_path / "pool.sock")
    with listening(path) as listener:
        with worker(tmp_path, accelerator=loop, listener=listener, path=path) as first:
            assert first.terminate() == 0
        with fcgi.connect(path) as client:
            client.sendall(fcgi.request_bytes(fcgi.nginx_params()))
            with worker(tmp_path, accelerator=loop, listener=listener, path=path):
                assert fcgi.receive(client).body == b"Hello, world!"


def test_two_workers_share_a_socket(loop: str, tmp_path: Path) -> None:
    path = str(tmp_path / "pool.sock")
    board = os.memfd_create("scoreboard")
    os.ftruncate(board, layout.SLOT_SIZE * 2)
    with (
        listening(path) as listener,
        worker(tmp_path, accelerator=loop, listener=listener, path=path, board=board, slot=0) as first,
        worker(tmp_path, accelerator=loop, listener=listener, path=path, board=board, slot=1) as second,
        fcgi.connect(path) as client,
    ):
        gate = str(tmp_path / "gate")
        client.sendall(fcgi.request_bytes(fcgi.nginx_params(uri=f"/gate?{gate}")))
        client.recv(100)
        slow = next(each.process.pid for each in (first, second) if each.state == layout.BUSY)
        pids = {json.loads(ask(path, "/facts").body)["pid"] for _ in range(5)}
        open(gate, "w").close()
        assert fcgi.receive(client).stdout == b"after"
        assert pids == {first.process.pid, second.process.pid} - {slow}
        both = first.requests + second.requests
    os.close(board)
    assert both in (5, 6)


def test_the_request_limit_ends_the_process(start: Start) -> None:
    running = start(instance_max_requests=3)
    pids = {json.loads(ask(running.path, "/facts").body)["pid"] for _ in range(3)}

    assert running.wait() == 0
    assert len(pids) == 1
    assert running.requests == 3


def test_sigusr1_writes_the_stacks_of_all_threads(start: Start) -> None:
    running = start()
    ask(running.path, "/thread")
    running.process.send_signal(signal.SIGUSR1)
    text = running.output.wait_for("Current thread")

    assert "most recent call first" in text
    assert ask(running.path).body == b"Hello, world!"


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        ("explodes.app", "RuntimeError: the site's own mistake"),
        ("lacks.app", 'ValueError: "lacks.app" could not be imported'),
        ("leaves.app", "SystemExit: 4"),
        ("nowhere.app", 'ValueError: "nowhere.app" could not be imported'),
        ("plain", 'ValueError: "plain" could not be imported'),
        ("plain.nothing()", 'ValueError: "plain.nothing()" could not be imported'),
        ("plain.Holder.nothing", 'ValueError: "plain.Holder.nothing" could not be imported'),
        ("plain.absent", "AttributeError"),
        ("", "WSGI_HANDLER env var must be set"),
        (None, "WSGI_HANDLER env var must be set"),
    ],
)
def test_an_application_that_does_not_start_answers_500_with_a_number(
    start: Start, tmp_path: Path, handler: str | None, reason: str
) -> None:
    log = tmp_path / "wfastcgi.log"
    running = start(handler, settings=[("WSGI_LOG", str(log))])
    assert running.state == layout.FAILED
    answers = [ask(running.path, uri) for uri in ("/", "/other")]
    [report] = running.reports

    assert {answer.status for answer in answers} == {"500 Internal Server Error"}
    assert all(
        report["id"].encode() in answer.body and b"rror occurred" not in answer.body for answer in answers
    )
    assert (report["kind"], report["handler"]) == ("startup", handler or "")
    assert reason in report["traceback"]
    assert report["headline"] == "Error occurred while reading WSGI handler"
    assert re.fullmatch(r"3\.\d+\.\d+", report["python"])
    text = running.output.wait_for("StdErr: ")
    assert "Error occurred while reading WSGI handler:\n\nTraceback" in text
    assert reason in text
    assert reason in log.read_text()
    assert running.state == layout.FAILED
    assert running.terminate() == 0


def test_a_failed_worker_ends_when_nobody_comes(start: Start) -> None:
    running = start("explodes.app", failure_linger_seconds=0.2)

    assert running.wait() == 0


def test_a_failed_worker_that_replaces_another_ends_at_once(start: Start) -> None:
    running = start("explodes.app", failure_linger_seconds=0, ready=False)

    assert running.wait() == 0
    assert len(running.reports) == 1


def test_a_missing_folder_is_a_failure_to_start(start: Start) -> None:
    running = start(physical_path="/nonexistent/wwwroot")

    assert ask(running.path).status == "500 Internal Server Error"
    assert "FileNotFoundError" in running.reports[0]["traceback"]


def test_only_the_newest_reports_are_kept(start: Start) -> None:
    running = start()
    for _ in range(25):
        last = ask(running.path, "/raises")

    assert len(running.reports) == 20
    assert [report for report in running.reports if report["id"].encode() in last.body]
    assert not list((running.folder / "failures").glob("*.part"))


def test_reports_that_cannot_be_stored_hinder_nobody(start: Start) -> None:
    running = start(failure_report="/proc/nowhere")

    assert ask(running.path, "/raises").status == "500 Internal Server Error"
    running.output.wait_for("could not be stored")
    assert ask(running.path).status == "200 OK"


def test_a_log_that_cannot_be_written_hinders_nobody(start: Start) -> None:
    assert ask(start(settings=[("WSGI_LOG", "/nonexistent/x.log")]).path).status == "200 OK"


def test_an_old_debugger_setting_is_only_mentioned(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "wfastcgi.log"
    running = start(settings=[("WSGI_LOG", str(log)), ("WSGI_PTVSD_SECRET", "hidden")])

    assert ask(running.path).status == "200 OK"
    assert "WSGI_PTVSD_SECRET is ignored" in log.read_text()
    assert "hidden" not in log.read_text()


def test_application_insights_missing_is_only_mentioned(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "wfastcgi.log"
    running = start(settings=[("WSGI_LOG", str(log)), ("APPINSIGHTS_INSTRUMENTATIONKEY", "key")])

    assert ask(running.path).status == "200 OK"
    assert "Application Insights could not be set up" in log.read_text()


def test_application_insights_wraps_the_handler(start: Start, tmp_path: Path) -> None:
    package = tmp_path / "packages" / "applicationinsights"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "requests.py").write_text(
        "class WSGIApplication:\n"
        "    def __init__(self, key, app): self.key, self.app = key, app\n"
        "    def __call__(self, environ, start_response):\n"
        "        def start(status, headers, exc_info=None):\n"
        "            return start_response(status, headers + [('X-Key', self.key)], exc_info)\n"
        "        return self.app(environ, start)\n"
    )
    running = start(
        settings=[("APPINSIGHTS_INSTRUMENTATIONKEY", "k1"), ("PYTHONPATH", str(tmp_path / "packages"))]
    )

    assert ask(running.path).headers["x-key"] == "k1"


@pytest.fixture
def uncompiled(tmp_path: Path) -> Path:
    """A copy of the package as it is where nothing could be compiled."""
    package = tmp_path / "copy" / "homeport"
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(SOURCE / "homeport/worker", package / "worker", ignore=ignored)
    shutil.copy(SOURCE / "homeport/__init__.py", package)
    return package.parent


def test_without_the_compiled_loop_the_other_serves(uncompiled: Path, tmp_path: Path) -> None:
    with worker(tmp_path, accelerator="auto", source=uncompiled) as running:
        assert json.loads(ask(running.path, "/facts").body)["compiled"] is False


def test_the_compiled_loop_can_be_required(uncompiled: Path, tmp_path: Path) -> None:
    with worker(tmp_path, accelerator="require", source=uncompiled, ready=False) as running:
        running.output.wait_for("No module named 'homeport.worker._accelerator'")
        assert running.wait() == 1


def test_a_worker_without_a_scoreboard_serves(start: Start) -> None:
    assert ask(start(environ={"HOMEPORT_SCOREBOARD": ""}, ready=False).path).body == b"Hello, world!"


def test_a_worker_that_dies_leaves_the_connection_to_break(start: Start) -> None:
    running = start()
    answer = ask(running.path, "/dies")

    assert answer.records == []
    assert running.wait() == 7
