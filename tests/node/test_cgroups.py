"""Limits of a site are set for real where the machine offers them."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.model.site import Limits
from homeport.node.cgroups import Cgroups, find_cgroups


@pytest.fixture
def cgroups() -> Iterator[Cgroups]:
    found = find_cgroups("test-cgroups")
    yield found
    found.remove("hello")


def test_a_process_joins_by_writing_itself(cgroups: Cgroups) -> None:
    files = cgroups.create("hello", Limits())
    joined = "; ".join(f"echo 0 > {file}" for file in files)
    process = subprocess.Popen(["/bin/sh", "-c", f"{joined}; echo in; exec sleep 60"], stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()

    assert (process.pid in cgroups.pids("hello")) == bool(files)
    cgroups.remove("hello")
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_limit_on_processes_holds(cgroups: Cgroups) -> None:
    if "pids" not in cgroups.bases:
        assert "limit on the number of processes" in cgroups.missing
        return
    files = cgroups.create("hello", Limits(processes=5))
    joined = "; ".join(f"echo 0 > {file}" for file in files)

    done = subprocess.run(
        ["/bin/sh", "-c", f"{joined}; for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait"],
        capture_output=True,
        text=True,
    )

    assert "fork" in done.stderr


def test_the_memory_limit_holds(cgroups: Cgroups) -> None:
    if "memory" not in cgroups.bases:
        assert "memory limit" in cgroups.missing
        return
    files = cgroups.create("hello", Limits(memory_bytes=64 * 1024 * 1024))
    joined = "; ".join(f"echo 0 > {file}" for file in files)

    done = subprocess.run(["/bin/sh", "-c", f"{joined}; exec python3 -c 'x = bytearray(300_000_000)'"])

    assert done.returncode != 0


def test_what_is_missing_is_named() -> None:
    assert Cgroups(version=2, bases={}).missing == (
        "memory limit",
        "CPU limit",
        "limit on the number of processes",
    )


@pytest.mark.parametrize(
    ("version", "file", "text", "kills"),
    [
        (2, "memory.events", "low 0\noom 3\noom_kill 2\n", 2),
        (1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", 1),
        (1, "memory.oom_control", "oom_kill_disable 0\n", 0),
        (2, "memory.peak", "", 0),
    ],
)
def test_processes_that_were_killed_for_memory_are_counted(
    tmp_path: Path, version: int, file: str, text: str, kills: int
) -> None:
    (tmp_path / "hello").mkdir()
    (tmp_path / "hello" / file).write_text(text)
    assert Cgroups(version=version, bases={"memory": tmp_path}).memory_kills("hello") == kills
    assert Cgroups(version=version, bases={}).memory_kills("hello") == 0
