"""Reads what is known of a site: its configuration, failures, logs, packages, and what the agent says of its pools."""

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from homeport.model.errors import HomeportError
from homeport.model.preview import preview_id
from homeport.scm.agent_channel import AgentChannel
from homeport.scm.checking.content import installed_distributions
from homeport.scm.checking.packages import requirement_lines
from homeport.scm.checking.places import configured_places
from homeport.scm.content import folder_names, list_content
from homeport.scm.deployments.hosting import compile_content, packages_of
from homeport.scm.diagnosis.evidence import AnswerFault, Evidence, PoolFact, PoolLog, PortNeverOpened
from homeport.scm.failures import Failures
from homeport.webconfig import HostingPlan

_TAIL_BYTES = 64 * 1024
_MOST_LINES = 400
_MOST_LOGS = 20
_LOG_FOLDER = "LogFiles/Application"
_REQUIREMENTS_BYTES = 256 * 1024


async def ask_pools(channel: AgentChannel) -> Mapping[str, Any] | None:
    """Ask the agent how the site is hosted; None where it does not answer."""
    try:
        value = await channel.ask("hosting")
    except HomeportError:
        return None
    return value if isinstance(value, dict) else None


def gather(
    home: Path,
    *,
    site: str,
    app_settings: Mapping[str, str],
    hosting: Mapping[str, Any] | None,
    preview: str = "",
) -> Evidence:
    """Read everything that `find_causes` decides on; what cannot be read is left out.

    `preview` is the deployment whose preview it is about: reports and logs of previews lie among the site's own.
    """
    mark = f"preview-{preview_id(preview)}-" if preview else ""
    root = home / "site/wwwroot"
    content = list_content(root)
    plan, pythons = compile_content(home, content, site=site, app_settings=app_settings)
    used = plan.runtime_folders
    python = next((each for each in pythons if each.folder.name in used), pythons[0] if pythons else None)
    installed = installed_distributions(packages_of(python, plan, home=home)) if python else {}
    written = {name for pool in plan.pools for name, _ in pool.app_settings}
    text = _tail(root / "requirements.txt", most=_REQUIREMENTS_BYTES)
    memory = (hosting or {}).get("memory") or {}
    return Evidence(
        site=site,
        places=configured_places(plan, content),
        stopped=bool(hosting and hosting.get("state") == "Stopped"),
        findings=plan.findings,
        failures=tuple(each for each in Failures(home).newest() if each.preview == preview),
        pools=None if hosting is None else tuple(_pool(each, plan) for each in hosting.get("pools", ())),
        answer_fault=_answer_fault((hosting or {}).get("answer_fault")),
        memory_limit=memory.get("limit"),
        memory_kills=int(memory.get("kills") or 0),
        logs=(*_logs(home, mark), *_stdout_logs(home, plan, mark)),
        requirements=tuple(requirement_lines(text)),
        installed=frozenset(installed),
        python_folder=python.folder.name if python else "",
        settings=frozenset(app_settings) | frozenset(written),
        content=frozenset(_names(root)),
    )


def _pool(value: Mapping[str, Any], plan: HostingPlan) -> PoolFact:
    pool = str(value.get("id", ""))
    program = next((each.program for each in plan.http_pools if each.id == pool), ())
    return PoolFact(
        id=pool,
        state=str(value.get("state", "")),
        reason=str(value.get("reason") or ""),
        port_never_opened=_port_never_opened(value.get("port_never_opened"), _command(program)),
    )


def _port_never_opened(value: object, command: str) -> PortNeverOpened | None:
    """Read what the agent says of a port; None where it says nothing."""
    if not isinstance(value, dict):
        return None
    return PortNeverOpened(
        port=int(value["port"]),
        seconds=float(value["seconds"]),
        command=command,
        instead=str(value.get("instead") or ""),
        standing_at=str(value.get("standing_at") or ""),
    )


def _answer_fault(value: object) -> AnswerFault | None:
    """Read what the agent says of a broken answer; None where it says nothing."""
    if not isinstance(value, dict):
        return None
    return AnswerFault(**{name: str(value.get(name, "")) for name in ("kind", "time", "request", "said")})


def _command(program: Sequence[str]) -> str:
    """Name a command line shortly: the program, and the first of its arguments that is no option."""
    named = [*program[:1], *[part for part in program[1:] if not part.startswith("-")][:1]]
    return " ".join(part.rpartition("/")[2] for part in named)


def _logs(home: Path, mark: str) -> Sequence[PoolLog]:
    """Read the logs of pools whose names begin with `mark`."""
    found = _names(home / _LOG_FOLDER)
    names = [name for name in found if name.startswith(mark) and name.endswith(".log")][:_MOST_LOGS]
    return [
        PoolLog(
            pool=name.removeprefix(mark).removesuffix(".log"),
            file=f"{_LOG_FOLDER}/{name}",
            lines=_last_lines(home / _LOG_FOLDER / name),
        )
        for name in names
    ]


def _stdout_logs(home: Path, plan: HostingPlan, mark: str) -> Iterator[PoolLog]:
    """Find what the processes of httpPlatform pools have written into the files that stdoutLogFile names."""
    for pool in plan.http_pools:
        folder, _, prefix = (pool.stdout_log or "").rpartition("/")
        files = [name for name in _names(home / folder) if prefix and name.startswith(f"{mark}{prefix}")]
        if files:
            newest = max(files, key=lambda name: _changed(home / folder / name))
            lines = _last_lines(home / folder / newest)
            yield PoolLog(pool=pool.id, file=f"{folder}/{newest}".lstrip("/"), lines=lines)


def _changed(path: Path) -> int:
    try:
        return path.lstat().st_mtime_ns
    except OSError:
        return 0


def _last_lines(path: Path) -> tuple[str, ...]:
    return tuple(_tail(path, most=_TAIL_BYTES).splitlines()[-_MOST_LINES:])


def _tail(path: Path, *, most: int) -> str:
    """Return the end of a regular file as text, empty where there is none."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            known = os.fstat(descriptor)
            if not stat.S_ISREG(known.st_mode):
                return ""
            file.seek(max(known.st_size - most, 0))
            return file.read(most).decode("utf-8", "replace")
    return ""


def _names(folder: Path) -> list[str]:
    return (folder_names(folder) or [])[:5000]
