"""Limits of a site: one cgroup, version 2 or version 1, whichever the machine has.

All sites of a platform are in one group, so that together they have no more weight than nginx has. There are no more
levels than that: the kernel goes through each of them whenever a process sleeps or wakes, some times for each request.
A machine on which no limit can be set still runs sites; what is missing is said once at the start.
"""

import contextlib
import errno
import os
from dataclasses import dataclass
from pathlib import Path

from homeport.model.site import Limits

_ROOT = Path("/sys/fs/cgroup")
_CONTROLLERS = ("memory", "cpu", "pids")
_PERIOD_MICROSECONDS = 100_000


@dataclass(frozen=True, slots=True)
class Cgroups:
    """The groups that this platform may make: `bases` maps a controller to the folder below which it makes them."""

    version: int
    bases: dict[str, Path]

    @property
    def missing(self) -> tuple[str, ...]:
        """The limits that cannot be enforced here, in words."""
        words = {"memory": "memory limit", "cpu": "CPU limit", "pids": "limit on the number of processes"}
        return tuple(words[name] for name in _CONTROLLERS if name not in self.bases)

    def create(self, group: str, limits: Limits) -> tuple[Path, ...]:
        """Make or update a group and return the files through which a process joins it."""
        folders = self._folders(group)
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        for file, value in self._settings(group, limits).items():
            _write(file, value)
        return tuple(folder / "cgroup.procs" for folder in folders)

    def remove(self, group: str) -> None:
        """Kill what is left in the group and remove it."""
        self.kill(group)
        for folder in self._folders(group):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def kill(self, group: str) -> None:
        """Kill what is left in the group."""
        for pid in self.pids(group):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)

    def remove_all(self) -> None:
        """Kill and remove every group of this platform: what a killed agent may have left."""
        for name in {path.name for base in self.bases.values() for path in base.iterdir() if path.is_dir()}:
            self.remove(name)

    def pids(self, group: str) -> set[int]:
        """Return the host's pids of every process in the group."""
        return {pid for folder in self._folders(group) for pid in _pids(folder)}

    def memory_kills(self, group: str) -> int:
        """Count the processes of a group that the kernel killed because the group used more memory than it may."""
        base = self.bases.get("memory")
        if base is None:
            return 0
        file = base / group / ("memory.events" if self.version == 2 else "memory.oom_control")
        try:
            fields = dict(line.split(" ", 1) for line in file.read_text().splitlines())
            return int(fields.get("oom_kill", "0"))
        except (OSError, ValueError):
            return 0

    def _folders(self, group: str) -> list[Path]:
        return sorted({base / group for base in self.bases.values()})

    def _settings(self, group: str, limits: Limits) -> dict[Path, str]:
        at = {name: base / group for name, base in self.bases.items()}
        cpu = limits.cpu_percent
        quota = None if cpu is None else cpu * _PERIOD_MICROSECONDS // 100
        if self.version == 2:
            values = {
                ("memory", "memory.max"): _or_max(limits.memory_bytes),
                ("cpu", "cpu.max"): f"{_or_max(quota)} {_PERIOD_MICROSECONDS}",
                ("pids", "pids.max"): _or_max(limits.processes),
            }
        else:
            values = {
                ("memory", "memory.limit_in_bytes"): str(limits.memory_bytes or -1),
                ("cpu", "cpu.cfs_quota_us"): str(quota or -1),
                ("pids", "pids.max"): _or_max(limits.processes),
            }
        return {at[name] / file: value for (name, file), value in values.items() if name in at}


def find_cgroups(instance: str) -> Cgroups:
    """Find out what this machine offers to us; `instance` keeps two platforms on one machine apart."""
    if (_ROOT / "cgroup.controllers").exists():
        return Cgroups(version=2, bases=_version_2_bases(instance))
    bases = {}
    for name in _CONTROLLERS:
        base = _ROOT / name / f"homeport-{instance}"
        if _can_make(base):
            bases[name] = base
    return Cgroups(version=1, bases=bases)


def _version_2_bases(instance: str) -> dict[str, Path]:
    base = _ROOT / f"homeport-{instance}"
    if not _can_make(base):
        return {}
    available = set((_ROOT / "cgroup.controllers").read_text().split()) & set(_CONTROLLERS)
    enable = " ".join(f"+{name}" for name in sorted(available))
    for folder in (_ROOT, base):
        _write(folder / "cgroup.subtree_control", enable)
    enabled = set((base / "cgroup.subtree_control").read_text().split())
    return {name: base for name in _CONTROLLERS if name in enabled}


def _can_make(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _write(file: Path, value: str) -> None:
    """Write a setting; one that this kernel lacks (no CPU quota, say) is left out, others are errors."""
    try:
        file.write_text(value)
    except OSError as error:
        if error.errno not in (
            errno.ENOENT,
            errno.EINVAL,
            errno.EOPNOTSUPP,
            errno.EBUSY,
            errno.EACCES,
            errno.EPERM,
        ):
            raise


def _pids(folder: Path) -> list[int]:
    try:
        return [int(line) for line in (folder / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def _or_max(value: int | None) -> str:
    return "max" if value is None else str(value)
