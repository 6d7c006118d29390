"""Findings: what a reader of somebody's configuration noticed, with the place and the remedy."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters: an error stops a part of the site from working."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing noticed in one file.

    `file` is the path below the site's content folder (`web.config`, `static/web.config`); `line` and `column`
    count from 1, 0 means the whole file. `code` is stable (`webconfig.unknown-element`). `message` says what is
    there, `remedy` what to do about it.
    """

    severity: Severity
    code: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    remedy: str = ""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        remedy = f" {self.remedy}" if self.remedy else ""
        return f"{place + ': ' if place else ''}{self.severity}: {self.message}{remedy}"
