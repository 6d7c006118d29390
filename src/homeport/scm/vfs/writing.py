"""A file replaced by an upload: written beside its place, then renamed over it.

Kudu truncates the old file first and leaves a partial one when the upload breaks off; a rename keeps the old
content until the new one is whole, in constant memory.
"""

import asyncio
import contextlib
import os
import uuid
from pathlib import Path

from starlette.requests import Request

from homeport.scm.bytecode import part_from_bytecode
from homeport.scm.http.bodies import store_body

_MARK = ".homeport-upload-"


async def write_file(request: Request, target: Path) -> os.stat_result:
    """Store the request's body at `target`, making its folders, and return its new status.

    Raises `OSError`; then neither the file nor a folder made for it remains.
    """
    made = make_folders(target.parent)
    aside = target.parent / f"{_MARK}{uuid.uuid4().hex}"
    try:
        with aside.open("xb") as file:
            await store_body(request, file)
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(file.fileno(), target.stat().st_mode & 0o777)
            part_from_bytecode(aside, target)
            found = os.fstat(file.fileno())
        await asyncio.to_thread(os.replace, aside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        remove_folders(made)
        raise
    return found


def make_folders(folder: Path) -> list[Path]:
    """Make a folder and its missing parents; return those that were made, outermost first."""
    missing: list[Path] = []
    here = folder
    while not here.exists():
        missing.append(here)
        here = here.parent
    made: list[Path] = []
    try:
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            made.append(path)
    except OSError:
        remove_folders(made)
        raise
    return made


def remove_folders(made: list[Path]) -> None:
    """Remove the folders again, as far as they are empty."""
    for path in reversed(made):
        with contextlib.suppress(OSError):
            path.rmdir()
