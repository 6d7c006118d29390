"""Following a deployment to its end: its log, entry by entry, as it is written (Kudu reference §3.3, §4.5)."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from homeport.cli.scm_client import ScmClient

_POLL_SECONDS = 0.3
_FAILED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line of a deployment's log; `depth` 1 is below an entry, `kind` is 0, 1 (warning) or 2 (error)."""

    depth: int
    message: str
    kind: int


class DeploymentLog:
    """What of a deployment's log has been seen."""

    def __init__(self, scm: ScmClient, deployment_id: str) -> None:
        self._scm = scm
        self._id = deployment_id
        self._seen: list[int] = []

    def new_lines(self) -> Iterator[LogLine]:
        """Yield what has come since the last time."""
        entries = self._scm.log(self._id)
        for index, entry in enumerate(entries):
            if index == len(self._seen):
                self._seen.append(0)
                yield _line(entry, depth=0)
            elif index < len(self._seen) - 2:
                continue  # an entry gets no more children once two others have come after it
            children = self._scm.log_details(entry)
            for child in children[self._seen[index] :]:
                yield _line(child, depth=1)
            self._seen[index] = max(self._seen[index], len(children))


def follow(scm: ScmClient, location: str, deployment_id: str | None) -> Iterator[LogLine | dict[str, Any]]:
    """Yield the lines of the log until the deployment has ended, and at last its record."""
    log: DeploymentLog | None = None
    while True:
        ended, record = scm.poll(location)
        known = deployment_id or (None if record.get("is_temp") else record.get("id"))
        own = scm.deployment(known) if known else None
        if log is None and known and own:
            log = DeploymentLog(scm, known)
        if log is None and ended and record.get("id"):
            # It failed before it got a record of its own: the temporary one's log says what went wrong.
            log = DeploymentLog(scm, str(record["id"]))
        if log is not None:
            yield from log.new_lines()
        if ended:
            yield own or record
            return
        time.sleep(_POLL_SECONDS)


def failed(record: dict[str, Any]) -> bool:
    """Tell whether a deployment's record says that it failed."""
    return record.get("status") == _FAILED


def _line(entry: dict[str, Any], *, depth: int) -> LogLine:
    return LogLine(depth=depth, message=str(entry.get("message", "")), kind=int(entry.get("type", 0)))
