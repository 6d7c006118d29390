"""Python stacks of a site's process, taken by py-spy inside the site's own sandbox and as its user.

py-spy reads the memory of the process, which the site controls, so it must not run with our power: it enters the
namespaces of that process, joins the site's cgroup, becomes the site's user, and only then looks. Namespaces are
entered by descriptors that were opened while the process was known to be the site's, so a number that is used again
leads nowhere.
"""

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from homeport.model.errors import HomeportError, Invalid, Unavailable, Unsupported
from homeport.node.processes import start_process
from homeport.node.sandbox import TRUSTED_ENVIRONMENT, become_user, join_cgroup
from homeport.node.site_processes import SandboxRoot, resolve_process, site_processes

_NAMESPACES = ("user", "mnt", "pid", "net", "ipc", "uts")
_OPTIONS = {"mnt": "mount"}
_SECONDS = 30.0
_MOST_BYTES = 4 * 1024 * 1024
_MOST_LOOKED_AT = 4
_THREAD = re.compile(r"^(?=Thread )", re.MULTILINE)
_LONGEST_NAME = 300
"""Characters of a function or a file."""
_CONTENT = "/home/site/wwwroot/"


async def python_stacks(
    roots: Sequence[SandboxRoot],
    number: int,
    *,
    uid: int | None,
    cgroup_procs: Sequence[Path],
    values: bool,
    full_names: bool = False,
) -> str:
    """Return the stacks of all threads as text, with local variables when `values`, with whole paths when `full_names`.

    Raises `NotFound`, `Invalid` for a process without Python, `Unsupported` without py-spy, `Unavailable` when it
    takes too long.
    """
    program = Path(sys.prefix) / "bin/py-spy"
    if not program.exists():
        raise Unsupported("py-spy is not installed beside the platform's Python: run `make setup`.")
    with ExitStack() as opened:
        descriptors = dict.fromkeys(_NAMESPACES, 0)
        found = resolve_process(site_processes(roots), number)
        for name in [name for name in _NAMESPACES if uid is None or name != "user"]:
            descriptors[name] = _open(opened, f"/proc/{found.pid}/ns/{name}")
        inner = _inner_number(found.pid)
        if found.pid not in site_processes(roots) or inner is None:
            resolve_process({}, number)
        binary = _open(opened, str(program))
        line = (
            *join_cgroup(cgroup_procs),
            *_enter(descriptors, rootless=uid is None),
            *become_user(uid),
            f"/proc/self/fd/{binary}",
            *("dump", "--pid", str(inner)),
            *(("--locals",) if values else ()),
            *(("--full-filenames",) if full_names else ()),
        )
        inherited = tuple(each for each in (*descriptors.values(), binary) if each)
        code, output = await _run(line, inherited)
    if code != 0:
        raise Invalid(
            f"The process {found.pid} has no Python stacks to show: {_reason(output)}", code="NoPython"
        )
    return output


async def sandbox_stacks(root: SandboxRoot, *, uid: int | None, cgroup_procs: Sequence[Path]) -> str:
    """Return the stacks of every Python in one sandbox, parents first; empty where there is none."""
    found = await asyncio.to_thread(site_processes, [root])
    texts = []
    for number in list(found)[:_MOST_LOOKED_AT]:
        with contextlib.suppress(HomeportError, OSError):
            texts.append(
                await python_stacks(
                    [root], number, uid=uid, cgroup_procs=cgroup_procs, values=False, full_names=True
                )
            )
    return "\n".join(text.strip() for text in texts)


def standing_at(stacks: str) -> str:
    """Tell where a process stands by its stacks with whole paths: `app.py:3 in connect`, empty where they tell nothing.

    That is the innermost line of the site's own files, in a main thread before the others and in a child before its
    parent; where none is the site's own, the innermost line there is. The text is the site's to write.
    """
    threads = [thread for thread in reversed(_THREAD.split(stacks)) if thread.startswith("Thread ")]
    threads.sort(key=lambda thread: '"MainThread"' not in thread.partition("\n")[0])
    frames = [frame for thread in threads for line in thread.split("\n") if (frame := _frame(line))]
    own = [frame for frame in frames if frame[0].startswith(_CONTENT) and "/site-packages/" not in frame[0]]
    for file, line, function in (own or frames)[:1]:
        return f"{file.removeprefix(_CONTENT)[:_LONGEST_NAME]}:{line} in {function[:_LONGEST_NAME]}"
    return ""


def _frame(text: str) -> tuple[str, str, str] | None:
    """Read `    connect (/home/site/wwwroot/app.py:3)`: file, line, function; None for other lines and other places."""
    function, _, place = text.strip().removesuffix(")").partition(" (/")
    file, _, line = place.rpartition(":")
    return (f"/{file}", line[:9], function) if file and line.isdecimal() else None


def _enter(descriptors: dict[str, int], *, rootless: bool) -> tuple[str, ...]:
    entered = tuple(
        f"--{_OPTIONS.get(name, name)}=/proc/self/fd/{descriptor}"
        for name, descriptor in descriptors.items()
        if descriptor
    )
    return ("nsenter", *(("--preserve-credentials",) if rootless else ()), *entered, "--")


async def _run(line: Sequence[str], inherited: tuple[int, ...]) -> tuple[int, str]:
    read_end, write_end = os.pipe()
    try:
        process = start_process(line, environment=TRUSTED_ENVIRONMENT, output=write_end, inherited=inherited)
    finally:
        os.close(write_end)
    reading = asyncio.create_task(asyncio.to_thread(_read_all, read_end))
    try:
        async with asyncio.timeout(_SECONDS):
            code = await process.wait()
    except TimeoutError as error:
        raise Unavailable(
            "The process did not give its stacks in time; try again.", code="NoStacks"
        ) from error
    finally:
        process.kill()
        output = await reading
    return code, output.decode("utf-8", "replace")


def _read_all(descriptor: int) -> bytes:
    kept = b""
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        while data := file.read(65536):
            kept += data[: _MOST_BYTES - len(kept)]
    return kept


def _open(opened: ExitStack, path: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        resolve_process({}, int(path.split("/")[2]) if path.startswith("/proc/") else 0)
        raise
    opened.callback(os.close, descriptor)
    return descriptor


def _inner_number(pid: int) -> int | None:
    """Return the process' number in its own namespace."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[-1]) for line in lines if line.startswith("NSpid:")), None)


def _reason(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return " ".join(lines)[-300:] or "py-spy said nothing"
