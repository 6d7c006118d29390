"""`site/deployments`: the records of a site, which one is active, repair and purge (Kudu reference §0.2, §4.2)."""

import contextlib
import os
import re
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from homeport.model.preview import STAGING
from homeport.scm.deployments.lock import DeploymentLock, LockHeld
from homeport.scm.deployments.log import DeploymentLog, Kind
from homeport.scm.deployments.record import DeploymentRecord, Status, parse_status, render_status
from homeport.scm.deployments.switching import ContentSwitch
from homeport.scm.deployments.trees import remove_tree

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_RESERVED = frozenset({"tools"})
_MOST_SUCCESSES = 10
_MOST_BYTES = 1024 * 1024
_INTERRUPTED = "The deployment was interrupted: the process that ran it ended before the deployment was done."
FIRST_MANIFEST = frozenset({"hostingstart.html"})
"""What the first deployment of a site finds there and removes."""


class DeploymentStore:
    """The records below one home."""

    def __init__(self, home: Path, *, lock: DeploymentLock) -> None:
        self._site = home / "site"
        self._root = home / "site/deployments"
        self._kept = home / "data/.homeport/deployments"
        self._previews = home / STAGING
        self._lock = lock
        self.switch = ContentSwitch(home)

    def folder(self, identity: str) -> Path:
        """Return a record's folder."""
        assert is_id(identity)
        return self._root / identity

    def kept(self, identity: str) -> Path:
        """Return the folder of what is kept for carrying a deployment out again."""
        assert is_id(identity)
        return self._kept / identity

    def log(self, identity: str) -> DeploymentLog:
        """Return a record's log."""
        return DeploymentLog(self.folder(identity) / "log.log")

    def read(self, identity: str) -> DeploymentRecord | None:
        """Return one record, None where there is none (or it cannot be read)."""
        if not is_id(identity):
            return None
        for name in ("status_complete.xml", "status.xml"):
            with contextlib.suppress(OSError):
                path = self.folder(identity) / name
                if path.stat().st_size <= _MOST_BYTES and (record := parse_status(path.read_bytes())):
                    return replace(record, id=identity)
        return None

    def write(self, record: DeploymentRecord) -> None:
        """Store a record; whoever watches `active` sees that something changed."""
        folder = self.folder(record.id)
        folder.mkdir(parents=True, exist_ok=True)
        data = render_status(record)
        _replace(folder / "status.xml", data)
        if record.complete:
            _replace(folder / "status_complete.xml", data)
        else:
            (folder / "status_complete.xml").unlink(missing_ok=True)
        self._touch_active()

    def end(self, record: DeploymentRecord) -> None:
        """Store the complete record of the deployment that holds the lock: whoever reads it may begin the next one."""
        self._lock.describe_end()
        self.write(record)

    def remove(self, identity: str) -> None:
        """Remove a record and what was kept for rolling back to it; the content it brought stays."""
        remove_tree(self.folder(identity))
        remove_tree(self.kept(identity))
        self._touch_active()

    def records(self) -> list[DeploymentRecord]:
        """Return all records, the one received last first."""
        try:
            names = [entry.name for entry in os.scandir(self._root) if entry.is_dir(follow_symlinks=False)]
        except OSError:
            return []
        found = [record for name in names if name not in _RESERVED and (record := self.read(name))]
        return sorted(found, key=lambda record: record.received, reverse=True)

    def active(self) -> str | None:
        """Return the id of the deployment that is served."""
        try:
            text = (self._root / "active").read_text(errors="replace")[:200].strip()
        except OSError:
            return None
        return text if is_id(text) else None

    def activate(self, identity: str) -> None:
        """Make a deployment the one that is served."""
        _replace(self._root / "active", identity.encode())

    def changed_ns(self) -> int:
        """Return a number that changes with every change of any record."""
        try:
            return (self._root / "active").stat().st_mtime_ns
        except OSError:
            return 0

    def previous_manifest(self) -> frozenset[str]:
        """Return the paths that the active deployment, and those before it, put into the web root."""
        active = self.active()
        base = self.folder(active) / "manifest" if active else self._site / "firstDeploymentManifest"
        known = read_manifest(base)
        return FIRST_MANIFEST if known is None else known

    def carry_manifest(self, identity: str) -> None:
        """Let a deployment that brought no content be followed by one that removes what is there."""
        write_manifest(self.folder(identity) / "manifest", sorted(self.previous_manifest()))

    def recover(self) -> None:
        """Finish a switch that a process began and did not live to end; only for who holds the lock.

        What was kept of records that are gone goes too, and what was prepared for a preview that never began.
        """
        self._forget_orphans()
        remove_tree(self._previews)
        identity = self.switch.recover()
        if identity is None:
            return
        record = self.read(identity)
        if record is not None:
            self.activate(identity)
            if not record.complete:
                log = self.log(identity)
                log.entry("Deployment successful.")
                log.child("The process ended during the last step, which was finished afterwards.")
                self.write(record.moved(Status.SUCCESS, text="", at=datetime.now(UTC)))
        self.switch.finish()

    def tidy(self) -> None:
        """Turn records whose process died into failures, and forget old ones; nothing while the lock is held."""
        records = self.records()
        doomed = to_purge(records, active=self.active())
        if all(record.complete for record in records) and not doomed and not self._previews.exists():
            return
        try:
            held = self._lock.acquire("Repairing deployments")
        except LockHeld:
            return
        with held:
            self.recover()
            for record in self.records():
                if not record.complete:
                    self._fail(record)
            for identity in to_purge(self.records(), active=self.active()):
                self.remove(identity)

    def _forget_orphans(self) -> None:
        with contextlib.suppress(OSError):
            for entry in list(os.scandir(self._kept)):
                if not (self._root / entry.name).exists():
                    remove_tree(Path(entry.path))

    def _fail(self, record: DeploymentRecord) -> None:
        log = self.log(record.id)
        log.entry("Deployment Failed.", Kind.ERROR)
        log.error(_INTERRUPTED)
        self.write(record.moved(Status.FAILED, text=_INTERRUPTED, at=datetime.now(UTC)))

    def _touch_active(self) -> None:
        path = self._root / "active"
        with contextlib.suppress(OSError):
            path.touch()


def is_id(text: str) -> bool:
    """Tell whether a text can be the id of a deployment, and so the name of its folder."""
    return _ID.fullmatch(text) is not None


def to_purge(records: Sequence[DeploymentRecord], *, active: str | None) -> list[str]:
    """Choose the records to forget (Kudu reference §4.2); `records` are ordered, the newest first.

    Kept are the newest ten that ever succeeded, the active one, those in progress, and a failure that never
    succeeded only while it is the newest record of all.
    """
    succeeded = [record for record in records if record.last_success_end is not None]
    kept = {record.id for record in succeeded[:_MOST_SUCCESSES]} | {active}
    kept |= {record.id for record in records if not record.complete}
    kept |= {record.id for record in records[:1]}
    return [record.id for record in records if record.id not in kept]


def read_manifest(path: Path) -> frozenset[str] | None:
    r"""Read a manifest: one relative path per line, `\` or `/`; a path that leads out of the target is dropped."""
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="surrogateescape").split("\n")
    except OSError:
        return None
    paths = (line.strip("\r").replace("\\", "/").strip("/") for line in lines)
    return frozenset(path for path in paths if path and ".." not in path.split("/"))


def write_manifest(path: Path, paths: Sequence[str]) -> None:
    """Write a manifest."""
    text = "".join(f"{line}\n" for line in sorted(paths))
    _replace(path, text.encode("utf-8", "surrogateescape"))


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
