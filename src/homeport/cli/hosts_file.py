"""The platform's lines in the system's hosts file, between two markers."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from homeport.model.errors import Conflict, Forbidden, Unavailable

_BEGIN = "# begin of Homeport's names"
_END = "# end of Homeport's names"


def hosts_lines(address: str, names: Sequence[Sequence[str]]) -> list[str]:
    """Return one line a site."""
    return [f"{address} {' '.join(each)}" for each in names]


def write_hosts(path: Path, lines: Sequence[str]) -> None:
    """Replace what is between the markers, or add them at the end; the rest stays as it is, byte for byte.

    Raises `Conflict` for a marker without its counterpart, `Forbidden` and `Unavailable` when it cannot be written.
    """
    try:
        before = path.read_bytes() if path.exists() else b""
        text = _replaced(before.decode("utf-8", "surrogateescape"), lines, path)
        _write(path, text.encode("utf-8", "surrogateescape"))
    except PermissionError as error:
        raise Forbidden(f"Only root can write {path}: sudo homeport hosts --write") from error
    except OSError as error:
        raise Unavailable(f"{path} could not be written: {error.strerror or error}.") from error


def _replaced(text: str, lines: Sequence[str], path: Path) -> str:
    ours = "".join(f"{line}\n" for line in (_BEGIN, *lines, _END)) if lines else ""
    found = [at for at, line in enumerate(text.splitlines()) if line.strip() in (_BEGIN, _END)]
    if not found:
        return f"{text}{chr(10) if text and not text.endswith(chr(10)) else ''}{ours}"
    kept = text.splitlines(keepends=True)
    marked = [kept[at].strip() for at in found]
    if marked != [_BEGIN, _END]:
        raise Conflict(
            f"{path} holds '{_BEGIN}' and '{_END}' not exactly once each; put that right by hand first."
        )
    return "".join((*kept[: found[0]], ours, *kept[found[1] + 1 :]))


def _write(path: Path, data: bytes) -> None:
    """Write aside and rename; in a container the file is a mount that cannot be replaced, so it is written in place."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
        try:
            Path(aside).replace(path)
        except OSError:
            path.write_bytes(data)
    finally:
        Path(aside).unlink(missing_ok=True)
