import os
import subprocess
import sys
import zipfile
from inspect import signature
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from homeport.cli.commands.docs import render_reference
from homeport.cli.commands.platform import run_sample, sample_folder, up
from homeport.cli.main import homeport_app
from homeport.cli.output import safe
from homeport.cli.package import open_package
from homeport.model.errors import Invalid

from .conftest import HOMEPORT

CHECKOUT = Path(__file__).parents[2]


def test_the_reference_of_the_commands_is_up_to_date() -> None:
    """When this fails: make docs."""
    page = (CHECKOUT / "docs/reference/cli.md").read_text()

    assert page == render_reference(typer.main.get_command(homeport_app()))


def names(path: Path, *, build: bool = True) -> dict[str, bytes]:
    with open_package(path, build=build) as package, zipfile.ZipFile(package.file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_package_holds_the_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a/empty").mkdir(parents=True)
    (tmp_path / "a/b.txt").write_text("b")

    assert names(tmp_path) == {"a/b.txt": b"b", "a/empty/": b""}


def test_a_link_to_a_file_is_packed_as_the_file_and_one_to_a_folder_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "circle").symlink_to(".")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")

    with open_package(tmp_path, build=True) as package:
        assert (package.files, package.left_out) == (2, ("circle/", "dangling", "pipe"))


def test_a_build_is_asked_for_once_and_only_with_requirements(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("")
    without = names(tmp_path)
    (tmp_path / "requirements.txt").write_text("flask")
    with_requirements = names(tmp_path)
    refused = names(tmp_path, build=False)

    assert ".deployment" not in without
    assert b"SCM_DO_BUILD_DURING_DEPLOYMENT=true" in with_requirements[".deployment"]
    assert ".deployment" not in refused


@pytest.mark.parametrize(
    ("name", "text", "asks"),
    [
        ("uv.lock", "", True),
        ("poetry.lock", "", True),
        ("Pipfile.lock", "{}", True),
        ("Pipfile", "", True),
        ("pyproject.toml", '[project]\nname = "x"\ndependencies = ["flask"]\n', True),
        ("pyproject.toml", "[project", True),
        ("pyproject.toml", "[tool.ruff]\nline-length = 99\n", False),
        ("sub/requirements.txt", "flask", False),
    ],
)
def test_whatever_names_the_requirements_asks_for_a_build(
    tmp_path: Path, name: str, text: str, asks: bool
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)

    assert (".deployment" in names(tmp_path)) is asks


def test_the_sample_is_run_with_the_options_of_the_platform() -> None:
    assert signature(run_sample) == signature(up)


def test_a_zip_with_requirements_gets_the_same_and_stays_untouched(tmp_path: Path) -> None:
    path = tmp_path / "app.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("requirements.txt", "flask")
    before = path.read_bytes()

    assert set(names(path)) == {"requirements.txt", ".deployment"}
    assert path.read_bytes() == before


def test_a_file_from_before_1980_can_be_packed(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("x")
    os.utime(tmp_path / "old", (0, 0))

    assert names(tmp_path) == {"old": b"x"}


def test_a_folder_that_holds_only_what_is_left_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text("")

    with pytest.raises(Invalid, match="no file to deploy"), open_package(tmp_path, build=True):
        pass


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80))
def test_no_text_of_a_site_keeps_a_control_character(text: str) -> None:
    assert not [c for c in safe(text) if c not in "\t\n" and (ord(c) < 32 or 127 <= ord(c) < 160)]


@given(
    st.lists(
        st.sampled_from(["a", "\x1b[31m", "\x1b[2J", "\x1b]0;x\x07", "\x07", "\x1b", "\x9b"]), max_size=20
    )
)
def test_with_colours_only_colours_pass(parts: list[str]) -> None:
    shown = safe("".join(parts), colours=True)

    assert "\x1b" not in shown.replace("\x1b[31m", "")


@pytest.mark.parametrize("text", ["Grüße, 世界", "tab\tstays", "C:\\home"])
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert safe(text) == text


def test_explain_shows_what_a_path_becomes() -> None:
    shown = subprocess.run(
        [HOMEPORT, "explain", r"D:\home\site\wwwroot"], capture_output=True, text=True, check=True
    )

    assert "result     /home/site/wwwroot" in shown.stdout


def test_explain_needs_no_platform_and_speaks_json() -> None:
    line = [HOMEPORT, "explain", "--json", r"D:\home\a;E:\b"]
    shown = subprocess.run(line, capture_output=True, text=True, check=True)

    assert '"result": "/home/a"' in shown.stdout
    assert '"result": null' in shown.stdout


def test_the_module_is_the_command() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "homeport.cli", "--help"], capture_output=True, text=True, check=True
    )

    assert "Your own App Service for Python." in shown.stdout


def test_the_sample_is_a_flask_site_with_the_documented_configuration() -> None:
    folder = sample_folder()

    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == [
        "app.py",
        "requirements.txt",
        "web.config",
    ]
    assert (
        rb"D:\home\Python361x64\python.exe|D:\home\Python361x64\wfastcgi.py"
        in (folder / "web.config").read_bytes()
    )
