"""The record of one deployment: its states, its legal moves, `status.xml` and its JSON (Kudu reference §4.1, §4.5)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any
from xml.etree import ElementTree

from homeport.scm.dotnet_time import read_utc, utc_text


class Status(IntEnum):
    """Where a deployment is; the numbers are on the wire, the names in `status.xml`."""

    PENDING = 0
    BUILDING = 1
    DEPLOYING = 2
    FAILED = 3
    SUCCESS = 4

    @property
    def final(self) -> bool:
        """Tell whether nothing more happens."""
        return self in {Status.FAILED, Status.SUCCESS}


LEGAL: Mapping[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.BUILDING, Status.FAILED}),
    Status.BUILDING: frozenset({Status.DEPLOYING, Status.FAILED}),
    Status.DEPLOYING: frozenset({Status.SUCCESS, Status.FAILED}),
    Status.FAILED: frozenset(),
    Status.SUCCESS: frozenset(),
}
"""The moves of one attempt."""

_PROVISIONING = {Status.FAILED: "Failed", Status.SUCCESS: "Succeeded"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRecord:
    """One deployment. Times are in UTC; `end` and `last_success_end` are None until there is one."""

    id: str
    status: Status
    received: datetime
    start: datetime
    deployer: str | None = None
    author: str | None = None
    author_email: str | None = None
    message: str | None = None
    progress: str = ""
    status_text: str = ""
    end: datetime | None = None
    last_success_end: datetime | None = None
    complete: bool = False
    is_temp: bool = False
    is_readonly: bool = False

    def moved(self, status: Status, *, text: str, at: datetime) -> "DeploymentRecord":
        """Return the record in its next state; an illegal move is a programming error."""
        assert status in LEGAL[self.status], f"{self.status.name} does not lead to {status.name}"
        success = at if status is Status.SUCCESS else self.last_success_end
        return replace(
            self,
            status=status,
            status_text=text,
            complete=status.final,
            end=at if status.final else None,
            last_success_end=success,
        )

    def again(self, *, text: str, at: datetime) -> "DeploymentRecord":
        """Return the record at the beginning of another attempt; when it last succeeded stays known."""
        return replace(
            self, status=Status.PENDING, status_text=text, progress="", start=at, end=None, complete=False
        )


def render_status(record: DeploymentRecord) -> bytes:
    """Write `status.xml`."""
    root = ElementTree.Element("deployment")
    for name, value in _fields(record).items():
        ElementTree.SubElement(root, name).text = _xml_text(value)
    ElementTree.indent(root)
    data: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return data


def parse_status(data: bytes) -> DeploymentRecord | None:
    """Read `status.xml`, ours or Kudu's own; None where it is broken."""
    try:
        root = ElementTree.fromstring(data)  # noqa: S314 (see the import)
    except ElementTree.ParseError:
        return None
    texts = {element.tag: (element.text or "").strip() for element in root}
    received = read_utc(texts.get("receivedTime", ""))
    name = texts.get("status", "").upper()
    if not texts.get("id") or received is None or name not in Status.__members__:
        return None
    return DeploymentRecord(
        id=texts["id"],
        status=Status[name],
        received=received,
        start=read_utc(texts.get("startTime", "")) or received,
        deployer=texts.get("deployer") or None,
        author=texts.get("author") or None,
        author_email=texts.get("authorEmail") or None,
        message=texts.get("message") or None,
        progress=texts.get("progress", ""),
        status_text=texts.get("statusText", ""),
        end=read_utc(texts.get("endTime", "")),
        last_success_end=read_utc(texts.get("lastSuccessEndTime", "")),
        complete=_truth(texts, "complete"),
        is_temp=_truth(texts, "is_temp"),
        is_readonly=_truth(texts, "is_readonly"),
    )


def record_json(record: DeploymentRecord, *, active: bool, site: str, address: str | None) -> dict[str, Any]:
    """Return the object of the API; `address` is the URL of the record (None: both links are null)."""
    return {
        "id": record.id,
        "status": int(record.status),
        "status_text": record.status_text,
        "author_email": record.author_email,
        "author": record.author,
        "deployer": record.deployer,
        "message": record.message,
        "progress": record.progress,
        "received_time": utc_text(record.received),
        "start_time": utc_text(record.start),
        "end_time": _optional(record.end) or None,
        "last_success_end_time": _optional(record.last_success_end) or None,
        "complete": record.complete,
        "active": active,
        "is_temp": record.is_temp,
        "is_readonly": record.is_readonly,
        "url": address,
        "log_url": None if address is None else f"{address}/log",
        "site_name": site,
        "provisioningState": _PROVISIONING.get(record.status, "InProgress"),
    }


def hook_payload(record: DeploymentRecord, *, site: str, hostname: str) -> dict[str, Any]:
    """Return what web hooks are told of a finished deployment (Kudu reference §7.1)."""
    return {
        "id": record.id,
        "status": record.status.name.lower(),
        "statusText": record.status_text,
        "authorEmail": record.author_email,
        "author": record.author,
        "message": record.message,
        "progress": record.progress,
        "deployer": record.deployer,
        "receivedTime": utc_text(record.received),
        "startTime": utc_text(record.start),
        "endTime": _optional(record.end) or None,
        "lastSuccessEndTime": _optional(record.last_success_end) or None,
        "complete": record.complete,
        "siteName": site,
        "hostName": hostname,
        "isTemporary": record.is_temp,
        "isReadonly": record.is_readonly,
    }


def foreign_record(identity: str, body: Mapping[str, Any]) -> DeploymentRecord | None:
    """Read the record of a deployment that somebody else made; None where the body is none (§4.4)."""
    status = body.get("status")
    message, deployer, author = (str(body.get(name) or "") for name in ("message", "deployer", "author"))
    if status not in (3, 4) or not (message and deployer and author):
        return None
    now = datetime.now(UTC)
    start = read_utc(str(body.get("start_time") or "")) or now
    end = read_utc(str(body.get("end_time") or "")) or now
    email = body.get("author_email")
    return DeploymentRecord(
        id=identity,
        status=Status(status),
        received=start,
        start=start,
        end=end,
        last_success_end=end if status == Status.SUCCESS else None,
        complete=True,
        is_readonly=True,
        author=author,
        author_email=email if isinstance(email, str) else None,
        deployer=deployer,
        message=message,
    )


def _fields(record: DeploymentRecord) -> dict[str, str]:
    return {
        "id": record.id,
        "author": record.author or "",
        "deployer": record.deployer or "",
        "authorEmail": record.author_email or "",
        "message": record.message or "",
        "progress": record.progress,
        "status": record.status.name.capitalize(),
        "statusText": record.status_text,
        "lastSuccessEndTime": _optional(record.last_success_end),
        "receivedTime": utc_text(record.received),
        "startTime": utc_text(record.start),
        "endTime": _optional(record.end),
        "complete": str(record.complete),
        "is_temp": str(record.is_temp),
        "is_readonly": str(record.is_readonly),
        "project_type": "",
        "vsproject_id": "",
    }


def _optional(moment: datetime | None) -> str:
    return "" if moment is None else utc_text(moment)


def _truth(texts: Mapping[str, str], name: str) -> bool:
    return texts.get(name, "").lower() == "true"


def _xml_text(text: str) -> str:
    """Replace what XML 1.0 cannot hold."""
    return "".join(
        character if character in "\t\n" or " " <= character < "\ud800" or character > "\udfff" else "\ufffd"
        for character in text
    ).translate({0xFFFE: "\ufffd", 0xFFFF: "\ufffd"})
