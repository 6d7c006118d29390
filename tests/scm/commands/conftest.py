import asyncio
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from homeport.scm.commands.execution import CommandResult, execute
from homeport.windows.layout import Layout


class Run(Protocol):
    def __call__(
        self,
        line: str,
        directory: str | None = None,
        *,
        environment: dict[str, str] | None = None,
        idle_timeout_seconds: float = 60.0,
        output_limit_bytes: int = 1 << 24,
    ) -> CommandResult: ...


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A site's home as Kudu lays it out."""
    home = tmp_path / "home"
    (home / "site" / "wwwroot").mkdir(parents=True)
    (home / "LogFiles").mkdir()
    return home


@pytest.fixture
def layout(home: Path) -> Layout:
    (home.parent / "tmp").mkdir()
    return Layout(home=str(home), temporary=str(home.parent / "tmp"), local=str(home.parent / "local"))


@pytest.fixture
def run(layout: Layout) -> Run:
    """Run a line and wait for its answer."""

    def run_line(
        line: str,
        directory: str | None = None,
        *,
        environment: dict[str, str] | None = None,
        idle_timeout_seconds: float = 60.0,
        output_limit_bytes: int = 1 << 24,
    ) -> CommandResult:
        return asyncio.run(
            execute(
                line,
                directory=directory,
                environment={"PATH": os.defpath, **(environment or {})},
                idle_timeout_seconds=idle_timeout_seconds,
                layout=layout,
                output_limit_bytes=output_limit_bytes,
            )
        )

    return run_line


@pytest.fixture(scope="session")
def runtime_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real environment with pip, made once."""
    folder = tmp_path_factory.mktemp("runtime") / "template"
    subprocess.run([sys.executable, "-m", "venv", "--copies", str(folder)], check=True)
    return folder


@pytest.fixture
def add_runtime(home: Path, runtime_template: Path) -> Callable[[str], Path]:
    """Make a runtime folder as the platform does: python.exe, bin, Scripts."""

    def add(name: str) -> Path:
        folder = home / name
        shutil.copytree(runtime_template, folder, symlinks=True)
        (folder / "Scripts").symlink_to("bin")
        for script in folder.glob("bin/pip*"):
            lines = script.read_text().splitlines(keepends=True)
            script.write_text("".join([f"#!{folder}/bin/python\n", *lines[1:]]))
        wrapper = folder / "python.exe"
        wrapper.write_text('#!/bin/sh\nexec "${0%/*}/bin/python" "$@"\n')
        wrapper.chmod(0o755)
        return folder

    return add


@pytest.fixture
def runtime(add_runtime: Callable[[str], Path]) -> Path:
    return add_runtime("python361x64")


@pytest.fixture
def wheel(home: Path) -> Path:
    """The smallest wheel there is, in home."""
    path = home / "greeting-1.0-py3-none-any.whl"
    info = "greeting-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("greeting.py", "TEXT = 'hello'\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "greeting.py,,\n")
    return path
