"""Locks that are files."""

import os
from pathlib import Path

import pytest

from homeport.model.errors import Conflict
from homeport.scm.lock_file import held_lock, is_locked, take_lock


def test_one_at_a_time_has_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "locks/x.lock"
    with held_lock(path, busy=Conflict("busy")):
        assert is_locked(path)
        assert take_lock(path) is None
        with pytest.raises(Conflict, match="busy"), held_lock(path, seconds=0.05, busy=Conflict("busy")):
            pass
    descriptor = take_lock(path)
    assert descriptor is not None
    os.close(descriptor)


def test_looking_makes_no_file(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "x.lock")
    assert not (tmp_path / "x.lock").exists()


def test_a_link_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "x.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        take_lock(tmp_path / "x.lock")
    assert not (tmp_path / "elsewhere").exists()
