import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .running import Folders


@pytest.fixture
def folders() -> Iterator[Folders]:
    """A short path: a Unix socket's may have 107 bytes."""
    root = Path(tempfile.mkdtemp(prefix="hp-nginx-"))
    yield Folders(root)
    shutil.rmtree(root)
