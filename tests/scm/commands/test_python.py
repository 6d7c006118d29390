"""The documented use of the console: a site's own Python and pip."""

from collections.abc import Callable
from pathlib import Path

from .conftest import Run


def test_python_of_the_folder_runs(run: Run, runtime: Path) -> None:
    result = run('python.exe -c "import sys; print(sys.prefix)"', r"\home\python361x64")

    assert (result.output, result.error, result.exit_code) == (f"{runtime}\n", "", 0)


def test_pip_installs_into_the_python_of_the_folder(run: Run, runtime: Path, wheel: Path) -> None:
    line = rf"python.exe -m pip install --no-index --disable-pip-version-check D:\home\{wheel.name}"

    installed = run(line, r"\home\Python361x64")
    imported = run('python.exe -c "import greeting; print(greeting.TEXT)"', r"D:\home\python361x64")

    assert installed.exit_code == 0, installed.error
    assert "Successfully installed greeting-1.0" in (installed.output or "")
    assert imported.output == "hello\n"


def test_pip_reads_requirements_named_by_a_windows_path(
    run: Run, runtime: Path, home: Path, wheel: Path
) -> None:
    (home / "site" / "wwwroot" / "Requirements.txt").write_text(f"greeting @ file://{wheel}\n")

    result = run(
        r"python.exe -m pip install --no-index --upgrade -r d:\home\site\wwwroot\requirements.txt",
        r"\home\python361x64",
    )

    assert result.exit_code == 0, result.error
    assert "Successfully installed greeting-1.0" in (result.output or "")


def test_every_spelling_of_pip_reaches_the_same_environment(run: Run, runtime: Path) -> None:
    for line, directory in [
        (r"Scripts\pip.exe --version", "python361x64"),
        ("pip --version", "python361x64"),
        ("pip.exe --version", None),
        (r"D:\home\Python361x64\Scripts\pip.exe --version", r"D:\home\site"),
        ("python -m pip --version", "site"),
        ("bash -c 'pip --version'", None),
    ]:
        result = run(line, directory)

        assert str(runtime) in (result.output or ""), (line, result)


def test_the_newest_runtime_is_python_outside_of_any(run: Run, add_runtime: Callable[[str], Path]) -> None:
    add_runtime("python361x64")
    newest = add_runtime("python3117x64")

    assert run('python -c "import sys; print(sys.prefix)"').output == f"{newest}\n"


def test_without_a_runtime_the_message_says_how_to_get_one(run: Run) -> None:
    result = run("python --version", environment={"WEBSITE_SITE_NAME": "shop"})

    assert result.exit_code == 1
    assert result.output == ""
    assert "homeport extension add shop python3117x64" in (result.error or "")


def test_a_script_named_as_a_command_runs_in_python(run: Run, runtime: Path, home: Path) -> None:
    (home / "site" / "wwwroot" / "manage.py").write_text("import sys; print(sys.argv[1:])\n")

    assert run(r'manage.py a "b c"', r"site\wwwroot").output == "['a', 'b c']\n"
    assert run(r"python site\wwwroot\manage.py check").output == "['check']\n"


def test_the_exit_code_and_both_streams_are_told_apart(run: Run, runtime: Path) -> None:
    result = run("python -c \"import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)\"")

    assert (result.output, result.error, result.exit_code) == ("out\n", "err\n", 3)


def test_a_program_that_reads_its_input_finds_the_end(run: Run, runtime: Path) -> None:
    assert run('python -c "import sys; print(repr(sys.stdin.read()))"').output == "''\n"
