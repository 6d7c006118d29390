"""`site/siteextensions/<id>/SiteExtensionStatus.json`: how the last operation on an extension went (§7.3, §7.4)."""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from homeport.scm.atomic_file import read_small, replace_file

_NAME = "SiteExtensionStatus.json"
_MOST_BYTES = 64 * 1024
CREATED, SUCCEEDED, FAILED, CANCELED = "Created", "Succeeded", "Failed", "Canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationStatus:
    """One operation. `status` is an HTTP status; `operation` is `install` until its restart was announced."""

    provisioning_state: str
    status: int = 200
    comment: str | None = None
    operation: str | None = "install"


def read_status(folder: Path) -> OperationStatus | None:
    """Return the status in an extension's folder of notes; None where there is none to be read."""
    data = read_small(folder / _NAME, limit=_MOST_BYTES)
    with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
        value = json.loads(data) if data else None
        if isinstance(value, dict):
            return OperationStatus(
                provisioning_state=str(value["provisioningState"]),
                status=int(value.get("status") or 200),
                comment=None if value.get("comment") is None else str(value["comment"]),
                operation=None if value.get("operation") is None else str(value["operation"]),
            )
    return None


def write_status(folder: Path, status: OperationStatus) -> None:
    """Store a status; raises `OSError`."""
    value = asdict(status)
    value["provisioningState"] = value.pop("provisioning_state")
    replace_file(folder / _NAME, json.dumps({**value, "siteExtensionType": "Gallery"}, indent=2).encode())
