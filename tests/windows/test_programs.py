from collections.abc import Sequence

import pytest

from homeport.windows.layout import Layout
from homeport.windows.programs import (
    Missing,
    Program,
    ProgramKind,
    choose_runtime,
    find_runtimes,
    resolve_program,
)

from .trees import tree

LAYOUT = Layout()


class Files:
    """A `Lookup` over given files; those in bin or ending in .exe or without a dot are executable."""

    def __init__(self, *paths: str) -> None:
        self._files = frozenset(paths)
        self._listing = tree(*paths)

    def list_folder(self, path: str) -> Sequence[str] | None:
        return self._listing(path)

    def is_file(self, path: str) -> bool:
        return path in self._files

    def is_executable(self, path: str) -> bool:
        name = path.rsplit("/", 1)[1]
        return path in self._files and ("/bin/" in path or name.endswith(".exe") or "." not in name)


def runtime_files(folder: str) -> list[str]:
    return [
        f"/home/{folder}/{name}"
        for name in ("python.exe", "wfastcgi.py", "bin/python", "bin/python3", "bin/pip")
    ]


SITE = Files(
    *runtime_files("python361x64"),
    *runtime_files("Python3117x64"),
    "/home/site/wwwroot/deploy.CMD",
    "/home/site/wwwroot/manage.py",
    "/home/site/wwwroot/notes.txt",
    "/home/site/wwwroot/env/bin/python",
    "/home/site/wwwroot/env/bin/flask",
    "/usr/bin/python3",
    "/usr/bin/git",
    "/usr/bin/ls",
)


def found(name: str, directory: str = "/home", *, files: Files = SITE, search: Sequence[str] = ()) -> str:
    result = resolve_program(
        name,
        LAYOUT,
        directory=directory,
        search=["/usr/bin", *search],
        runtimes=find_runtimes(LAYOUT, files),
        lookup=files,
    )
    return result.path if isinstance(result, Program) else result.value


@pytest.mark.parametrize(
    ("name", "directory", "path"),
    [
        ("python.exe", "/home/python361x64", "/home/python361x64/python.exe"),
        ("python", "/home/python361x64", "/home/python361x64/python.exe"),
        ("PYTHON.EXE", "/home/python361x64", "/home/python361x64/python.exe"),
        ("pip", "/home/python361x64", "/home/python361x64/bin/pip"),
        ("pip.exe", "/home/python361x64", "/home/python361x64/bin/pip"),
        ("python", "/home", "/home/Python3117x64/bin/python"),
        ("python.exe", "/home/site/wwwroot", "/home/Python3117x64/bin/python"),
        ("python3", "/home", "/home/Python3117x64/bin/python3"),
        ("py", "/home", "/home/Python3117x64/bin/python"),
        ("pythonw.exe", "/home", "/home/Python3117x64/bin/python"),
        ("python", "/home/python361x64/Lib", "/home/python361x64/bin/python"),
        (r"Scripts\pip.exe", "/home/python361x64", "/home/python361x64/bin/pip"),
        (r"scripts\pip", "/home/python361x64", "/home/python361x64/bin/pip"),
        (r"D:\home\python3117X64\Scripts\pip.exe", "/home", "/home/Python3117x64/bin/pip"),
        (r"\home\python361x64\python.exe", "/", "/home/python361x64/python.exe"),
        (r".\python.exe", "/home/python361x64", "/home/python361x64/python.exe"),
        (r"env\Scripts\python.exe", "/home/site/wwwroot", "/home/site/wwwroot/env/bin/python"),
        (r"env\Scripts\flask.exe", "/home/site/wwwroot", "/home/site/wwwroot/env/bin/flask"),
        ("bin/pip", "/home/python361x64", "/home/python361x64/bin/pip"),
        ("git", "/home", "/usr/bin/git"),
        ("git.exe", "/home", "/usr/bin/git"),
        ("/usr/bin/ls", "/home", "/usr/bin/ls"),
        ("deploy", "/home/site/wwwroot", "/home/site/wwwroot/deploy.CMD"),
        ("deploy.cmd", "/home/site/wwwroot", "/home/site/wwwroot/deploy.CMD"),
        ("manage.py", "/home/site/wwwroot", "/home/site/wwwroot/manage.py"),
        ("notes.txt", "/home/site/wwwroot", "unknown"),
        ("foo", "/home", "unknown"),
        ("foo.exe", "/home", "unknown"),
        (r"E:\x.exe", "/home", "unknown"),
        (r"Scripts\nope.exe", "/home/python361x64", "unknown"),
    ],
)
def test_a_name_finds_the_program_that_a_person_expects(name: str, directory: str, path: str) -> None:
    assert found(name, directory) == path


def test_python_never_comes_from_outside_the_site() -> None:
    bare = Files("/usr/bin/python3", "/usr/bin/python", "/home/site/x")

    assert found("python", files=bare) == Missing.NO_RUNTIME
    assert found("pip", files=bare) == Missing.NO_RUNTIME


def test_python_may_come_from_a_folder_of_the_site_on_the_path() -> None:
    assert found("python", search=["/home/site/wwwroot/env/bin"]) == "/home/site/wwwroot/env/bin/python"


def test_kinds_tell_how_to_start_a_program() -> None:
    kinds = [
        resolve_program(
            name, LAYOUT, directory="/home/site/wwwroot", search=["/usr/bin"], runtimes=(), lookup=SITE
        )
        for name in ("git", "deploy", "manage.py")
    ]

    assert [program.kind for program in kinds if isinstance(program, Program)] == list(ProgramKind)


def test_runtimes_are_listed_newest_first() -> None:
    runtimes = find_runtimes(LAYOUT, SITE)

    assert [runtime.folder for runtime in runtimes] == ["/home/Python3117x64", "/home/python361x64"]
    assert choose_runtime(runtimes, directory="/home/python361x64/x") == runtimes[1]
    assert choose_runtime(runtimes, directory="/home/python361x64x") == runtimes[0]
    assert choose_runtime((), directory="/home") is None
