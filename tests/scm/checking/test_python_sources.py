"""Windows-only code, by file and line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.scm.checking.python_sources import check_source


def said(source: str) -> list[str]:
    return [
        f"{each.line} {each.severity} {each.message}" for each in check_source(source.encode(), file="app.py")
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "import os\nimport winreg\n",
            "2 error 'winreg' exists on Windows only: ModuleNotFoundError when this file",
        ),
        ("from win32com.client import Dispatch", "1 error 'win32com' exists on Windows only"),
        (
            "def f():\n    import msvcrt",
            "2 warning 'msvcrt' exists on Windows only: ModuleNotFoundError when this function",
        ),
        ("import os\nos.startfile('x')", "2 warning os.startfile exists on Windows only"),
        (
            "from asyncio import WindowsSelectorEventLoopPolicy",
            "1 warning asyncio.WindowsSelectorEventLoopPolicy",
        ),
        ("p = r'D:\\home\\site\\wwwroot'", "1 warning The text 'D:\\home\\site\\wwwroot' is a Windows path"),
        (
            "c = 'DRIVER={SQL Server Native Client 11.0};x'",
            "1 warning The database driver 'SQL Server Native Client 11.0'",
        ),
        ("print 'hello'", "1 warning The file is no Python 3"),
    ],
)
def test_what_needs_windows_is_named_with_its_line(source: str, expected: str) -> None:
    assert [line for line in said(source) if line.startswith(expected)]
    assert len(said(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    import winreg\nexcept ImportError:\n    winreg = None",
        "import sys\nif sys.platform == 'win32':\n    import msvcrt",
        "import os\nif os.name == 'nt':\n    os.startfile('x')",
        "from . import winreg",
        "import asyncio, sys\nif sys.platform.startswith('win'):\n    asyncio.WindowsSelectorEventLoopPolicy()",
        "text = '''a\nD:\\\\home'''",
        "",
    ],
)
def test_code_that_looks_where_it_runs_is_left_alone(source: str) -> None:
    assert said(source) == []


def test_python_2_is_recognised() -> None:
    (finding,) = check_source(b"try:\n    pass\nexcept IOError, e:\n    print 'x'\n", file="a.py")
    assert "Python 2" in finding.remedy


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_no_file_is_too_strange(source: bytes) -> None:
    check_source(source, file="a.py")


def test_deep_nesting_ends(tmp_path: object) -> None:
    check_source(b"x = " + b"(" * 5000 + b")" * 5000, file="a.py")
    check_source(b"x = " + b"-" * 20_000 + b"1", file="a.py")
