"""Keeps compiled code of a file that may still change within the same second out of `__pycache__`.

Python takes compiled code for that of a source with the same size and the same second of modification (PEP 3147 and
`importlib`'s documentation). Here a change is served within tenths of a second, so two versions of equal size fall
into one second easily; the code of the first would then run for ever.
"""

import os
import time
from importlib.machinery import SourceFileLoader
from typing import Any

_SETTLED_SECONDS = 2.0


def keep_settled_bytecode_only() -> None:
    """From now on, let imports write compiled code of sources only that were modified some seconds ago."""
    write = SourceFileLoader.set_data

    def set_data(self: SourceFileLoader, path: str, data: Any, **options: Any) -> None:
        if _is_settled(self.path):
            write(self, path, data, **options)

    SourceFileLoader.set_data = set_data  # type: ignore[method-assign]


def _is_settled(source: str) -> bool:
    try:
        age = time.time() - os.stat(source).st_mtime
    except OSError:
        return False
    return abs(age) >= _SETTLED_SECONDS
