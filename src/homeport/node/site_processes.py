"""The processes of one site as the machine's /proc shows them, from outside their sandboxes.

Every sandbox is a tree: bubblewrap's monitor, the first process of the PID namespace, the programs. Whatever starts in
a namespace stays below its first process, so a process belongs to a site exactly when it is below one of the site's
sandboxes. A number may be used again at any moment: whoever acts on a process holds it by a pidfd and checks then.
"""

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from homeport.model.errors import NotFound
from homeport.node.processes import children

_MOST_PROCESSES = 2000
_MOST_TEXT = 128 * 1024
_MOST_ITEMS = 2000
_KILL_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class SandboxRoot:
    """One sandbox: its outermost process, what it holds (`scm`, `ftp`, `worker` or `other`), and its pool."""

    pid: int
    kind: str
    pool: str = ""


@dataclass(frozen=True, slots=True)
class SiteProcess:
    """One process of a site by the machine's number; `main` is the program that the sandbox was made for."""

    pid: int
    parent: int | None
    root: SandboxRoot
    main: bool


def site_processes(roots: Sequence[SandboxRoot]) -> dict[int, SiteProcess]:
    """Return the programs of a site's sandboxes by number, parents before children; bubblewrap's own are left out."""
    found: dict[int, SiteProcess] = {}
    for root in roots:
        waiting: list[tuple[int, int | None, bool]] = [
            (pid, None, True) for init in children(root.pid) for pid in _children(init)
        ]
        oldest: int | None = None
        while waiting and len(found) < _MOST_PROCESSES:
            pid, parent, first = waiting.pop(0)
            main = first and oldest is None
            oldest = pid if main else oldest
            found[pid] = SiteProcess(pid=pid, parent=parent, root=root, main=main)
            waiting += [(child, pid, False) for child in _children(pid)]
    return found


def resolve_process(processes: Mapping[int, SiteProcess], number: int) -> SiteProcess:
    """Find a process by number; 0 is the SCM app, -1 a worker (Kudu reference §6). Raises `NotFound`."""
    if number in (0, -1):
        kind = "scm" if number == 0 else "worker"
        found = next((each for each in processes.values() if each.main and each.root.kind == kind), None)
    else:
        found = processes.get(number)
    if found is None:
        raise NotFound(f"Process with an Id of {number} is not running.", code="ProcessNotFound")
    return found


def process_summary(process: SiteProcess) -> dict[str, Any] | None:
    """Return what a list shows of a process; None when it is gone."""
    with contextlib.suppress(psutil.Error, OSError):
        seen = psutil.Process(process.pid)
        with seen.oneshot():
            times, memory = seen.cpu_times(), seen.memory_info()
            return {
                "pid": process.pid,
                "parent": process.parent,
                "kind": process.root.kind,
                "pool": process.root.pool,
                "main": process.main,
                "name": seen.name()[:200],
                "command_line": _clipped(seen.cmdline()),
                "state": seen.status(),
                "started": seen.create_time(),
                "user_seconds": times.user,
                "system_seconds": times.system,
                "resident_bytes": memory.rss,
                "virtual_bytes": memory.vms,
                "shared_bytes": memory.shared,
                "threads": seen.num_threads(),
            }
    return None


def process_detail(process: SiteProcess) -> dict[str, Any]:
    """Return everything about a process; what cannot be read is empty. Raises `NotFound` when it is gone."""
    summary = process_summary(process)
    if summary is None:
        raise NotFound(f"Process with an Id of {process.pid} is not running.", code="ProcessNotFound")
    status = _status_fields(process.pid)
    return summary | {
        "file_name": _link(Path(f"/proc/{process.pid}/exe")),
        "inner_pid": int(status.get("NSpid", "0").split()[-1]),
        "peak_resident_bytes": _kilobytes(status.get("VmHWM")),
        "peak_virtual_bytes": _kilobytes(status.get("VmPeak")),
        "swapped_bytes": _kilobytes(status.get("VmSwap")),
        "private_bytes": _kilobytes(status.get("RssAnon")),
        "environment": _environment(process.pid),
        "open_files": _open_files(process.pid),
        "thread_list": _threads(process.pid),
        "modules": _modules(process.pid),
    }


def kill_tree(roots: Sequence[SandboxRoot], number: int) -> int:
    """Kill a process of the site and everything below it; return how many were killed. Raises `NotFound`.

    Round after round, because a process may be starting another; each is held by its pidfd and checked again before
    the signal, so that a number that was given to a stranger meanwhile hits nobody.
    """
    wanted = resolve_process(site_processes(roots), number).pid
    killed: set[int] = set()
    for _ in range(_KILL_ROUNDS):
        doomed = [pid for pid in _tree(site_processes(roots), wanted, killed) if _kill(roots, pid)]
        if not doomed:
            break
        killed.update(doomed)
    return len(killed)


def _tree(processes: Mapping[int, SiteProcess], wanted: int, killed: set[int]) -> list[int]:
    """Return the numbers of a process and of all below it, those killed before as parents included."""
    inside = {wanted} | killed
    for process in processes.values():  # parents come before children
        if process.parent in inside:
            inside.add(process.pid)
    return [pid for pid in processes if pid in inside and pid not in killed]


def _kill(roots: Sequence[SandboxRoot], pid: int) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if pid not in site_processes(roots):
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _children(pid: int) -> list[int]:
    """Return the children of every thread of a process."""
    try:
        threads = [int(entry.name) for entry in os.scandir(f"/proc/{pid}/task")]
    except OSError:
        return []
    found: list[int] = []
    for thread in threads[:_MOST_ITEMS]:
        with contextlib.suppress(OSError, ValueError):
            text = Path(f"/proc/{pid}/task/{thread}/children").read_text()
            found += [int(child) for child in text.split()]
    return sorted(found)


def _status_fields(pid: int) -> dict[str, str]:
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
        return {name: text.strip() for name, _, text in (line.partition(":") for line in lines)}
    return {}


def _kilobytes(text: str | None) -> int:
    number = (text or "").split()
    return int(number[0]) * 1024 if number and number[0].isdigit() else 0


def _environment(pid: int) -> dict[str, str]:
    data = _read(Path(f"/proc/{pid}/environ"))
    pairs = (item.partition("=") for item in data.decode("utf-8", "replace").split("\0"))
    return {name: value for name, equals, value in pairs if equals and name}


def _open_files(pid: int) -> list[str]:
    found = set()
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in _bounded(entries):
            text = _link(Path(entry.path))
            if text.startswith("/"):
                found.add(text)
    return sorted(found)


def _threads(pid: int) -> list[dict[str, Any]]:
    found = []
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/task") as entries:
        for entry in _bounded(entries):
            with contextlib.suppress(OSError, ValueError, IndexError):
                found.append(_thread(int(entry.name), Path(entry.path)))
    return sorted(found, key=lambda thread: int(thread["id"]))


def _thread(identity: int, folder: Path) -> dict[str, Any]:
    text = (folder / "stat").read_text(errors="replace")
    # The name stands in parentheses and may itself hold some.
    fields = text.rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return {
        "id": identity,
        "name": text.partition("(")[2].rpartition(")")[0],
        "state": fields[0],
        "user_seconds": int(fields[11]) / ticks,
        "system_seconds": int(fields[12]) / ticks,
        "priority": int(fields[15]),
        "nice": int(fields[16]),
        "started": psutil.boot_time() + int(fields[19]) / ticks,
        "waits_in": _read(folder / "wchan").decode("ascii", "replace").strip("\0").removeprefix("0"),
    }


def _modules(pid: int) -> list[dict[str, Any]]:
    """Return the files that are mapped as programs or libraries, with their first address and their size."""
    found: dict[str, list[int]] = {}
    programs: set[str] = set()
    for line in (
        _read(Path(f"/proc/{pid}/maps"), limit=4 * _MOST_TEXT).decode("utf-8", "replace").splitlines()
    ):
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].startswith("/"):
            start, _, end = fields[0].partition("-")
            path = fields[5].removesuffix(" (deleted)")
            with contextlib.suppress(ValueError):
                found.setdefault(path, []).extend((int(start, 16), int(end, 16)))
            if "x" in fields[1]:
                programs.add(path)
    return [
        {"path": path, "base": min(spans), "size": max(spans) - min(spans)}
        for path, spans in list(found.items())[:_MOST_ITEMS]
        if path in programs
    ]


def _read(path: Path, *, limit: int = _MOST_TEXT) -> bytes:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(limit)
    return b""


def _link(path: Path) -> str:
    with contextlib.suppress(OSError):
        return str(path.readlink())
    return ""


def _clipped(words: Sequence[str]) -> list[str]:
    kept, left = [], _MOST_TEXT
    for word in words:
        kept.append(word[:left])
        left -= len(word)
        if left <= 0:
            break
    return kept


def _bounded(entries: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    for count, entry in enumerate(entries):
        if count >= _MOST_ITEMS:
            return
        yield entry
