"""Times as .NET writes them: ticks, ISO 8601 with up to seven fractional digits (Kudu reference §0.3, §2.3)."""

import re
from datetime import UTC, datetime, timedelta

_UNIX_EPOCH_TICKS = 621_355_968_000_000_000
_TICKS_PER_SECOND = 10_000_000
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|[+-]00:00)?")


def ticks(nanoseconds: int) -> int:
    """Turn nanoseconds since 1970 into 100 ns units since the year 1."""
    return nanoseconds // 100 + _UNIX_EPOCH_TICKS


def offset_text(nanoseconds: int) -> str:
    """Write a DateTimeOffset: `2026-01-02T03:04:05.1234567+00:00`, zeros at the end of the fraction dropped."""
    seconds, fraction = divmod(nanoseconds // 100, _TICKS_PER_SECOND)
    whole = _UNIX_EPOCH + timedelta(seconds=seconds)
    digits = f".{fraction:07d}".rstrip("0") if fraction else ""
    return f"{whole:%Y-%m-%dT%H:%M:%S}{digits}+00:00"


def utc_text(moment: datetime) -> str:
    """Write a DateTime in UTC: `2026-01-02T03:04:05.123456Z`."""
    digits = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    whole = moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    return f"{whole}{digits}Z"


def read_utc(text: str) -> datetime | None:
    """Read what `utc_text` (or .NET) wrote; None for anything else."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    try:
        whole = datetime.strptime(match[1], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return whole + timedelta(microseconds=int((match[2] or "0").ljust(6, "0")[:6]))
