import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from homeport.runtimes.gallery import Gallery, GalleryEntry
from homeport.runtimes.seed import Seed, prepare_seed, refresh_workers
from homeport.runtimes.template import PLACEHOLDER

MINORS = ["3.6", "3.8", "3.11", "3.13"]
pytestmark = pytest.mark.interpreters


@pytest.mark.parametrize("minor", MINORS)
def test_a_prepared_python_imports_the_worker_without_compiling(
    seed_of: Callable[[str], Seed], minor: str
) -> None:
    """The folder is read-only for workers; the interpreter tells by -v where each module came from."""
    seed = seed_of(minor)

    said = subprocess.run(
        [seed.entry.executable, "-I", "-v", "-c", f"import sys; sys.path.insert(0, {str(seed.worker)!r});"
         "import homeport.worker.scoreboard"],
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip

    origins = re.findall(rf"code object from '?({re.escape(str(seed.worker))}[^'\n]*)", said.stderr)
    assert origins
    assert {Path(origin).suffix for origin in origins} == {".pyc"}


@pytest.mark.parametrize("minor", MINORS)
def test_the_worker_is_compiled_whole(seed_of: Callable[[str], Seed], minor: str) -> None:
    seed = seed_of(minor)

    sources = {path.stem for path in (seed.worker / "homeport/worker").glob("*.py")}
    compiled = {path.name.split(".")[0] for path in (seed.worker / "homeport/worker/__pycache__").iterdir()}

    assert sources == compiled


def test_no_path_of_the_machine_is_left_in_the_programs(seed_of: Callable[[str], Seed]) -> None:
    seed = seed_of("3.11")

    for path in (seed.template / "bin").iterdir():
        if not path.is_symlink():
            assert path.read_text().startswith(f"#!{PLACEHOLDER}/bin/python\n")


def test_preparing_again_changes_nothing(runtimes: Path, seed_of: Callable[[str], Seed]) -> None:
    first = seed_of("3.11")
    before = first.template.stat().st_mtime_ns

    again = prepare_seed(runtimes, first.entry)

    assert (again.template, again.template.stat().st_mtime_ns) == (first.template, before)


def test_a_worker_made_from_older_sources_is_replaced(
    tmp_path: Path, gallery: Gallery, entry_of: Callable[[str], GalleryEntry]
) -> None:
    build = tmp_path / entry_of("3.11").build
    (build / "worker-old").mkdir(parents=True)
    (build / "worker").symlink_to("worker-old")

    refresh_workers(tmp_path, gallery)

    assert (build / "worker/homeport/worker/__init__.py").exists()
    assert (build / "worker-old").is_dir()


def test_progress_goes_up_to_one(tmp_path: Path, entry_of: Callable[[str], GalleryEntry]) -> None:
    fractions: list[float] = []

    prepare_seed(tmp_path, entry_of("3.11"), progress=lambda _text, fraction: fractions.append(fraction))

    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_without_a_network_the_bundled_pip_is_used(
    tmp_path: Path, entry_of: Callable[[str], GalleryEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))

    seed = prepare_seed(tmp_path / "runtimes", entry_of("3.8"))

    (packages,) = seed.template.glob("lib/python3.8/site-packages")
    assert (packages / "pip/__init__.py").exists()
    assert PLACEHOLDER in (seed.template / "bin/pip").read_text()
