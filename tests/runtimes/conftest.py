"""Pythons of this machine, and one prepared copy of each for the whole run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from homeport.model.errors import NotFound
from homeport.runtimes.gallery import Gallery, GalleryEntry
from homeport.runtimes.seed import Seed, prepare_seed


@pytest.fixture(scope="session")
def runtimes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runtimes")


@pytest.fixture(scope="session")
def gallery(runtimes: Path) -> Gallery:
    return Gallery(runtimes)


@pytest.fixture(scope="session")
def entry_of(gallery: Gallery) -> Callable[[str], GalleryEntry]:
    """Find an installed Python by its minor version; skip where this machine has none."""

    def find(minor: str) -> GalleryEntry:
        try:
            entry = gallery.resolve(f"python{minor.replace('.', '')}x64").entry
        except NotFound:
            pytest.skip(f"no Python {minor} on this machine")
        if not entry.executable:
            pytest.skip(f"no Python {minor} on this machine")
        return entry

    return find


@pytest.fixture(scope="session")
def seed_of(runtimes: Path, entry_of: Callable[[str], GalleryEntry]) -> Callable[[str], Seed]:
    """Prepare a Python once."""
    return lambda minor: prepare_seed(runtimes, entry_of(minor))
