"""What a run will do, and the programs it starts."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from bench.machine import choose_cores, cpu_nanoseconds, descendants, proportional_bytes, used_nanoseconds
from bench.plan import Part, make_plan
from bench.processes import StartError, started, wait_until
from bench.samples import Load, StackName
from bench.stacks.nginx import Front, configuration
from bench.wrk import Target, command, parse

PARENT = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); time.sleep(600)"


def test_a_full_run_may_become_the_page() -> None:
    plan = make_plan(only=(), quick=False, seconds=1, rounds=7)

    assert plan.complete
    assert plan.parts == frozenset(Part)
    assert plan.stacks == frozenset(StackName)


@pytest.mark.parametrize("only", [["hello"], ["nginx-uwsgi"], ["cold", "hello"]])
def test_a_run_of_some_stacks_or_loads_does_not(only: list[str]) -> None:
    assert not make_plan(only=only, quick=False, seconds=1, rounds=7).complete


def test_one_whole_part_may_become_its_section_of_the_page() -> None:
    plan = make_plan(only=["cold"], quick=False, seconds=1, rounds=7)

    assert plan.complete
    assert plan.parts == {Part.COLD}


def test_the_size_of_a_transfer_can_be_chosen() -> None:
    full, quick, chosen = (
        make_plan(only=["scm"], quick=quick, seconds=1, rounds=7, megabytes=megabytes)
        for quick, megabytes in ((False, None), (True, None), (False, 30))
    )

    assert (full.scm.megabytes, quick.scm.megabytes, chosen.scm.megabytes) == (1000, 100, 30)


def test_a_load_alone_means_the_loads() -> None:
    plan = make_plan(only=["flask_hello"], quick=False, seconds=1, rounds=7)

    assert plan.parts == {Part.LOADS}
    assert plan.load.loads == (Load.FLASK,)


def test_an_unknown_word_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'hallo' is nothing that can be measured: choose among loads, "):
        make_plan(only=["hallo"], quick=False, seconds=1, rounds=7)


def test_wrk_is_pinned_and_carries_the_host() -> None:
    words = command(Target(url="http://127.0.0.1:1/", host="a.b"), core=1, connections=32, seconds=2)

    assert words[:4] == ["taskset", "-c", "1", "wrk"]
    assert "Host: a.b" in words
    assert words[-1] == "http://127.0.0.1:1/"


def test_an_upload_is_passed_to_the_script() -> None:
    words = command(
        Target(url="http://127.0.0.1:1/", host="a", body_bytes=10), core=0, connections=1, seconds=1
    )

    assert words[-2:] == ["--", "10"]


def test_wrks_numbers_are_read() -> None:
    line = (
        'BENCH {"requests": 10, "duration_us": 500000, "bytes": 1, "status": 2, "connect": 1, "read": 1,'
        ' "write": 0, "timeout": 1, "p50": 80, "p99": 100, "max": 120}'
    )

    outcome = parse(f"Running 1s test\n{line}\n")

    assert (outcome.requests, outcome.seconds, outcome.failures, outcome.socket_errors) == (10, 0.5, 2, 3)


def test_wrk_without_numbers_is_an_error() -> None:
    with pytest.raises(ValueError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1")


def test_nginx_accepts_the_peers_configuration(tmp_path: Path) -> None:
    front = Front(address=f"unix:{tmp_path}/app.sock", location=("proxy_pass http://application;",), kept=8)
    path = tmp_path / "nginx.conf"
    path.write_text(configuration(front, folder=tmp_path, port=1))

    done = subprocess.run(
        ["nginx", "-t", "-e", str(tmp_path / "log"), "-c", str(path)], capture_output=True, text=True
    )

    assert "syntax is ok" in done.stderr


def test_a_program_ends_with_everything_below_it(tmp_path: Path) -> None:
    with started([sys.executable, "-c", PARENT], core=choose_cores().server, log=tmp_path / "log") as program:
        wait_until(lambda: len(descendants(program.pid)) == 2, seconds=20, what="a child", program=program)
        family = descendants(program.pid)

    assert not any(psutil.pid_exists(pid) for pid in family)


def test_a_program_runs_on_its_core(tmp_path: Path) -> None:
    core = choose_cores().client
    with started(["sleep", "600"], core=core, log=tmp_path / "log") as program:
        wait_until(lambda: psutil.Process(program.pid).name() == "sleep", seconds=20, what="the program")

        assert psutil.Process(program.pid).cpu_affinity() == [core]


def test_a_program_that_ends_at_once_is_reported_with_its_words(tmp_path: Path) -> None:
    with (
        started(["sh", "-c", "echo no such thing; exit 3"], core=0, log=tmp_path / "log") as program,
        pytest.raises(StartError, match="no such thing"),
    ):
        wait_until(lambda: False, seconds=20, what="it", program=program)


def test_cpu_time_and_memory_of_a_process_are_read(tmp_path: Path) -> None:
    with started([sys.executable, "-c", "while True: pass"], core=0, log=tmp_path / "log") as program:
        before = cpu_nanoseconds([program.pid])
        wait_until(
            lambda: used_nanoseconds(before, cpu_nanoseconds([program.pid])) > 10_000_000,
            seconds=20,
            what="CPU time is used",
        )

        assert proportional_bytes([program.pid]) > 1_000_000


def test_processes_that_come_count_and_those_that_go_do_not() -> None:
    assert used_nanoseconds({1: 10, 2: 50}, {1: 15, 3: 7}) == 12


def test_a_program_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('set', flush=True); time.sleep(600)"
    log = tmp_path / "log"
    with started([sys.executable, "-c", stubborn], core=0, log=log) as program:
        wait_until(lambda: "set" in log.read_text(), seconds=20, what="the handler", program=program)
        program.stop(within_seconds=0.2)

        assert program.ended
