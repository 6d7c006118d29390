import subprocess
import sys
from pathlib import Path

import pytest

from homeport.model.errors import Invalid, NotFound, Unavailable
from homeport.runtimes.gallery import BuildState, Gallery
from homeport.runtimes.interpreters import InterpreterSearch, SearchPlace

MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
VERSION = ".".join(map(str, sys.version_info[:3]))
BASE = Path(sys.base_prefix)


def place(folder: Path, source: str = "pyenv") -> SearchPlace:
    return SearchPlace(source=source, folder=folder, pattern="*/bin/python3.*")


def own_python(folder: Path) -> Path:
    """A folder with a link to the Python that runs the tests."""
    (folder / "mine/bin").mkdir(parents=True)
    (folder / f"mine/bin/python{MINOR}").symlink_to(BASE / f"bin/python{MINOR}")
    return folder


def test_the_list_is_newest_first_with_one_recommended(gallery: Gallery) -> None:
    entries = gallery.entries()

    assert [e.numbers for e in entries] == sorted((e.numbers for e in entries), reverse=True)
    assert [e.state for e in entries if e.recommended] == [BuildState.INSTALLED]


def test_an_installed_python_is_not_offered_as_a_download_too(gallery: Gallery) -> None:
    builds = [entry.build for entry in gallery.entries()]

    assert len(builds) == len(set(builds))


def test_every_python_listed_as_installed_runs(gallery: Gallery) -> None:
    for entry in (entry for entry in gallery.entries() if entry.state is BuildState.INSTALLED):
        said = subprocess.run([entry.executable, "--version"], capture_output=True, text=True, check=True)

        assert said.stdout.split()[1] == entry.version


def test_a_found_python_is_named_after_its_own_prefix(tmp_path: Path) -> None:
    (found,) = InterpreterSearch([place(own_python(tmp_path))]).find()

    assert (found.base, ".".join(map(str, found.version))) == (BASE, VERSION)


def test_the_same_version_in_two_places_is_listed_once_from_the_first(tmp_path: Path) -> None:
    places = [place(own_python(tmp_path / "a"), "uv"), place(own_python(tmp_path / "b"), "system")]

    assert [found.source for found in InterpreterSearch(places).find()] == ["uv"]


def test_a_virtual_environment_is_not_a_python_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "env/bin").mkdir(parents=True)
    (tmp_path / "env/pyvenv.cfg").write_text(f"home = {BASE}/bin\n")
    program = tmp_path / f"env/bin/python{MINOR}"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o755)

    assert not InterpreterSearch([place(tmp_path)]).find()


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 3\n", "#!/bin/sh\necho hello\n", "garbage"])
def test_a_program_that_is_no_python_is_passed_over(tmp_path: Path, script: str) -> None:
    (tmp_path / "broken/bin").mkdir(parents=True)
    program = tmp_path / "broken/bin/python3.9"
    program.write_text(script)
    program.chmod(0o755)
    own_python(tmp_path)

    assert len(InterpreterSearch([place(tmp_path)]).find()) == 1


def test_a_dangling_link_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "gone/bin").mkdir(parents=True)
    (tmp_path / "gone/bin/python3.9").symlink_to(tmp_path / "nowhere")

    assert not InterpreterSearch([place(tmp_path)]).find()


def test_a_python_that_disappears_is_no_longer_listed(tmp_path: Path) -> None:
    search = InterpreterSearch([place(own_python(tmp_path))])
    assert search.find()

    (tmp_path / f"mine/bin/python{MINOR}").unlink()

    assert not search.find()


def test_another_micro_version_is_served_and_said(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path / "data", places=[place(own_python(tmp_path))])

    resolution = gallery.resolve(f"python{MINOR.replace('.', '')}99x64")

    assert resolution.entry.version == VERSION
    assert resolution.note == (
        f"python{MINOR.replace('.', '')}99x64 is served by Python {VERSION}: {MINOR}.99 is not on this machine."
    )


def test_the_very_version_needs_no_note(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path / "data", places=[place(own_python(tmp_path))])

    resolution = gallery.resolve(f"python{VERSION.replace('.', '')}x64", policy="exact")

    assert (resolution.entry.state, resolution.note) == (BuildState.INSTALLED, "")


def test_32_bits_are_served_by_64_and_said(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path / "data", places=[place(own_python(tmp_path))])

    resolution = gallery.resolve(f"python{VERSION.replace('.', '')}x86")

    assert resolution.folder.endswith("x86")
    assert "32 bits" in resolution.note


def test_exact_does_not_accept_another_micro_version(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path / "data", places=[place(own_python(tmp_path))])

    with pytest.raises(NotFound, match=f"this machine has python{VERSION.replace('.', '')}x64"):
        gallery.resolve("python3699x64", policy="exact")


def test_an_unknown_policy_is_refused(gallery: Gallery) -> None:
    with pytest.raises(Invalid, match="same-minor"):
        gallery.resolve("python3117x64", policy="closest")


def test_a_download_that_cannot_be_had_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", f"file://{tmp_path}/nothing-here")
    gallery = Gallery(tmp_path / "data", places=[])
    newest = gallery.entries()[0]
    assert newest.state is BuildState.DOWNLOADABLE

    with pytest.raises(Unavailable, match=f"CPython {newest.version} could not be downloaded"):
        gallery.download(newest, progress=lambda _text, _fraction: None)


def test_a_build_that_is_not_here_is_not_found(gallery: Gallery) -> None:
    with pytest.raises(NotFound, match=r"cpython-3\.6\.99"):
        gallery.installed("cpython-3.6.99")
