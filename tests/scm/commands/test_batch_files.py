from pathlib import Path

from .conftest import Run


def write(home: Path, name: str, *lines: str) -> None:
    (home / name).write_text("\r\n".join(lines) + "\r\n")


def test_a_batch_file_runs_line_by_line_with_its_arguments(run: Run, home: Path) -> None:
    write(
        home,
        "build.cmd",
        "@echo off",
        "rem a note",
        "echo %0 %1 %~2 %*",
        "echo %~dp0",
        "echo 100%%",
        "echo [%3]",
    )

    result = run('build.cmd one "t wo"')

    assert result.output == "\n".join(
        [r"D:\home\build.cmd one t wo one " "t wo" "".replace('""', '"'), "D:\\home\\", "100%", "[]", ""]
    ).replace("one t wo one t wo", 'one t wo one "t wo"')
    assert result.exit_code == 0


def test_labels_jumps_loops_and_blocks(run: Run, home: Path) -> None:
    write(
        home,
        "count.bat",
        "set N=0",
        ":again",
        "set /a N=N+1 >nul",
        "if %N% LSS 3 (",
        "  echo at %N%",
        "  goto again",
        ")",
        "for %%x in (a b) do echo %%x",
        "call :label first",
        "goto :eof",
        ":label",
        "echo in label %1",
        "exit /b 7",
    )

    result = run("count")

    assert result.output == "at 1\nat 2\na\nb\nin label first\n"
    assert result.exit_code == 7


def test_the_error_level_survives_echo(run: Run, home: Path) -> None:
    write(
        home,
        "level.cmd",
        'bash -c "exit 4"',
        "echo done",
        "if errorlevel 4 exit /b %ERRORLEVEL%",
        "echo never",
    )

    result = run("level.cmd")

    assert (result.output, result.exit_code) == ("done\n", 4)


def test_variables_of_a_scope_go_with_it(run: Run, home: Path) -> None:
    write(home, "scope.cmd", "setlocal", "set X=inside", "call :show", "endlocal", ":show", "echo [%X%]")

    assert run("scope.cmd & set X").output == "[inside]\n[]\n"


def test_a_batch_file_may_call_another_and_go_on(run: Run, home: Path) -> None:
    write(home, "outer.cmd", "call inner.cmd x", "echo outer %ERRORLEVEL%")
    write(home, "inner.cmd", "echo inner %1", "exit /b 3", "echo never")

    assert run("outer.cmd").output == "inner x\nouter 3\n"


def test_endless_recursion_ends_with_a_message(run: Run, home: Path) -> None:
    write(home, "loop.cmd", "call loop.cmd")

    result = run("loop.cmd")

    assert result.exit_code == 1
    assert "too deeply" in (result.error or "")


def test_a_missing_label_is_told(run: Run, home: Path) -> None:
    write(home, "lost.cmd", "goto nowhere", "echo never")

    result = run("lost.cmd")

    assert result.output == ""
    assert "batch label specified - nowhere" in (result.error or "")


def test_a_caret_joins_lines(run: Run, home: Path) -> None:
    write(home, "join.cmd", "echo a^", "b")

    assert run("join.cmd").output == "ab\n"
