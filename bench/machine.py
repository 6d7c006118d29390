"""What the kernel says about processes: who descends from whom, CPU time, memory, cores."""

import ctypes
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """The core of the server stacks and the core of the load generator; the same one where there is only one."""

    server: int
    client: int

    @property
    def shared(self) -> bool:
        """Say whether servers and load generator compete for one core."""
        return self.server == self.client


def choose_cores() -> Cores:
    """Pick the first and the last core that this process may use."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(server=usable[0], client=usable[-1])


def adopt_orphans() -> None:
    """Become the parent of every descendant whose parent ends, so that none can escape `descendants`."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(pid: int) -> list[int]:
    """List a process and all below it, those that have ended left out."""
    try:
        process = psutil.Process(pid)
        return [pid, *(child.pid for child in process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def cpu_nanoseconds(pids: Iterable[int]) -> Mapping[int, int]:
    """Read the CPU time (user and system) that the threads of each process have used; ended processes are left out."""
    return {pid: total for pid in pids if (total := _cpu_nanoseconds(pid)) is not None}


def _cpu_nanoseconds(pid: int) -> int | None:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return None
    total = 0
    for thread in threads:
        try:
            total += int((thread / "schedstat").read_text().split()[0])
        except OSError:
            continue  # a thread that has ended since it was listed
    return total


def busy_seconds() -> float:
    """Read how long the processors of this machine have worked since it started, for whomever."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts, _stolen = fields
    return (user + nice + system + interrupts + soft_interrupts) / os.sysconf("SC_CLK_TCK")


def used_nanoseconds(before: Mapping[int, int], after: Mapping[int, int]) -> int:
    """Subtract two readings; a process that came in between counts from zero, one that went is left out."""
    return sum(max(0, value - before.get(pid, 0)) for pid, value in after.items())


def proportional_bytes(pids: Iterable[int]) -> int:
    """Sum the proportional set sizes of processes: shared pages are divided among those who share them."""
    return sum(_proportional_bytes(pid) for pid in pids)


def _proportional_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def command_line(pid: int) -> str:
    """Read a process's command line, words separated by blanks; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def name(pid: int) -> str:
    """Read a process's short name; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def facts() -> dict[str, str]:
    """Describe the machine: processor, cores, kernel, system, and the tools that take part."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "python": platform.python_version(),
        "nginx": _version(["nginx", "-v"], separator="/"),
        "wrk": _version(["wrk", "-v"], separator=" "),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(command: list[str], *, separator: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()[0].split(separator)[1].split()[0]
