"""`homeport check` as a person types it."""

from pathlib import Path

from cli.conftest import Keyboard


def test_a_folder_is_checked_without_a_platform(keyboard: Keyboard, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import winreg\n")
    done = keyboard.type("check", tmp_path, status=1, HOMEPORT_DATA="/nonexistent")
    line = next(line for line in done.stdout.splitlines() if line.startswith("error"))
    assert "app.py:1" in line
    assert "'winreg' exists on Windows only" in line
    assert "sys.platform == 'win32'" in line
    assert "2 findings, 1 error." in done.stderr


def test_without_an_error_the_exit_code_is_0(keyboard: Keyboard, tmp_path: Path) -> None:
    value = keyboard.json("check", tmp_path)
    assert [each["code"] for each in value["findings"]] == ["webconfig.none"]


def test_a_site_is_checked_where_it_is(hello: Keyboard) -> None:
    (hello.content / "app.py").write_text("import winreg\n")
    done = hello.type("check", "hello", status=1)
    assert "app.py:1" in done.stdout


def test_what_is_neither_is_said(keyboard: Keyboard) -> None:
    assert "is no folder" in keyboard.type("check", "./no/such", status=1).stderr
    assert "no version of Python" in keyboard.type("check", ".", "--python", "two", status=1).stderr
