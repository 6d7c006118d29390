"""The platform's worker package, copied and compiled for one interpreter, so that a cold start compiles nothing."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import homeport
from homeport.runtimes.gallery import GalleryEntry

_SOURCE = Path(homeport.__file__).parent
_PATTERNS = ("*.py", "*.abi3.so")


def worker_stamp(entry: GalleryEntry) -> str:
    """Return what tells one copy from another: every file of the worker and the interpreter that compiled it."""
    digest = hashlib.sha256(entry.executable.encode())
    for path in _files():
        digest.update(f"\0{path.relative_to(_SOURCE)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def build_worker_library(entry: GalleryEntry, folder: Path) -> None:
    """Fill `folder` (empty) with `homeport/__init__.py` and `homeport/worker/`, compiled."""
    for path in _files():
        target = folder / "homeport" / path.relative_to(_SOURCE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    line = [entry.executable, "-I", "-m", "compileall", "-q"]
    if entry.numbers >= (3, 7, 0):
        # The folder is read-only and named by its content: nothing to compare at each start.
        line += ["--invalidation-mode", "unchecked-hash"]
    # A module for newer interpreters only does not compile on an older one, which never imports it.
    subprocess.run((*line, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def _files() -> Iterator[Path]:
    yield _SOURCE / "__init__.py"
    for pattern in _PATTERNS:
        yield from sorted((_SOURCE / "worker").rglob(pattern))
