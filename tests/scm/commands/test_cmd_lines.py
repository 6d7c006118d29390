from pathlib import Path

import pytest

from .conftest import Run

UNKNOWN = "'foo' is not recognized as an internal or external command,\noperable program or batch file.\n"


@pytest.fixture
def files(home: Path) -> Path:
    root = home / "site" / "wwwroot"
    (root / "a.txt").write_text("alpha\nbeta\n")
    (root / "b.TXT").write_text("gamma\n")
    (root / "sub").mkdir()
    (root / "sub" / "c.txt").write_text("delta\n")
    return root


# Each line runs in site\wwwroot with the files above: output, exit code.
LINES = [
    ("echo hello | findstr h", "hello \n", 0),
    ("echo hello| findstr x", "", 1),
    ("echo a& echo b", "a\nb\n", 0),
    ("echo a&& echo b", "a\nb\n", 0),
    ("type nope || echo no", "no\n", 0),
    ("type nope && echo yes", "", 1),
    ("(echo a& echo b) | sort -r", "b\na\n", 0),
    ("echo.", "\n", 0),
    ("echo", "ECHO is off.\n", 0),
    ("echo a ^& b", "a & b\n", 0),
    ('echo "a & b"', '"a & b"\n', 0),
    ("echo %HOME% %home%", "D:\\home D:\\home\n", 0),
    ("echo %NOPE%", "%NOPE%\n", 0),
    ("cd", "D:\\home\\site\\wwwroot\n", 0),
    ("cd .. & echo. & cd", " \nD:\\home\\site\n", 0),
    ("cd..& cd", "D:\\home\\site\n", 0),
    (r"cd /d d:\home\logfiles & cd", "D:\\home\\LogFiles\n", 0),
    ("cd sub && cd", "D:\\home\\site\\wwwroot\\sub\n", 0),
    ("cd nope & cd", "D:\\home\\site\\wwwroot\n", 0),
    ("pushd sub & cd & popd & cd", "D:\\home\\site\\wwwroot\\sub\nD:\\home\\site\\wwwroot\n", 0),
    ("(cd sub) & cd", "D:\\home\\site\\wwwroot\\sub\n", 0),
    ("cd sub | cd", "D:\\home\\site\\wwwroot\n", 0),
    ("dir /b", "a.txt\nb.TXT\nsub\n", 0),
    ("dir /b *.txt", "a.txt\nb.TXT\n", 0),
    ("dir/b/ad", "sub\n", 0),
    ("dir /b /a-d /o-n", "b.TXT\na.txt\n", 0),
    (
        r"dir /s /b *.txt",
        "D:\\home\\site\\wwwroot\\a.txt\nD:\\home\\site\\wwwroot\\b.TXT\nD:\\home\\site\\wwwroot\\sub\\c.txt\n",
        0,
    ),
    ("type a.txt", "alpha\nbeta\n", 0),
    ("type A.TXT", "alpha\nbeta\n", 0),
    (r"type D:\home\site\wwwroot\sub\c.txt", "delta\n", 0),
    (r"type \home\site\wwwroot\sub\c.txt | more", "delta\n", 0),
    ("type *.txt", "alpha\nbeta\ngamma\n", 0),
    ("more < a.txt", "alpha\nbeta\n", 0),
    ("echo x> new.txt & type new.txt", "x \n", 0),
    ("echo x>n & echo y>>n & type n", "x \ny \n", 0),
    ("type nope 2>nul", "", 1),
    ("(echo a & type nope) > log 2>&1 & type log", "a \nThe system cannot find the file specified.\n", 0),
    ("echo e 1>&2", "", 0),
    (
        r"copy a.txt D:\home\LogFiles & type ..\..\LogFiles\a.txt",
        "        1 file(s) copied.\nalpha\nbeta\n",
        0,
    ),
    ("copy *.txt sub & dir /b sub", "a.txt\nb.TXT\n        2 file(s) copied.\na.txt\nb.TXT\nc.txt\n", 0),
    ("copy a.txt+b.txt c.txt & type c.txt", "        1 file(s) copied.\nalpha\nbeta\ngamma\n", 0),
    ("move a.txt z.txt & dir /b", "        1 file(s) moved.\nb.TXT\nsub\nz.txt\n", 0),
    ("del a.txt & dir /b", "b.TXT\nsub\n", 0),
    ("del /q * & dir /b", "sub\n", 0),
    ("del /s /q *.txt & dir /s /b /a-d", "", 1),
    ("ren a.txt q.md & dir /b", "b.TXT\nq.md\nsub\n", 0),
    ("ren *.txt *.md & dir /b", "a.md\nb.md\nsub\n", 0),
    (r"md x\y\z & dir /b /s x", "D:\\home\\site\\wwwroot\\x\\y\nD:\\home\\site\\wwwroot\\x\\y\\z\n", 0),
    ("mkdir -p p/q && dir /b p", "q\n", 0),
    ("rd /s /q sub & dir /b", "a.txt\nb.TXT\n", 0),
    ("rd sub", "", 145),
    ("set X=1& set X", "X=1\n", 0),
    ('set "X=a b" & cmd /c echo %X%', "a b\n", 0),
    ("set X=1&& call echo %X%", "1\n", 0),
    ("set X=1&& env | grep ^^X", "X=1\n", 0),
    (r"set X=D:\home\site&& env | grep X=", "X={home}/site\n", 0),
    (r"set PATH=D:\home\bin;%PATH%&& env | grep ^^PATH=", "PATH={home}/bin:/bin:/usr/bin\n", 0),
    ("set /a 7*(2+3)/4", "8\n", 0),
    ("set /a X=5-8& set X", "-3X=-3\n", 0),
    ("set NOPE", "", 1),
    ("if exist a.txt echo yes", "yes\n", 0),
    ("if exist *.py (echo yes) else echo no", "no\n", 0),
    ("if not exist nope.txt echo no", "no\n", 0),
    ('if /i "A"=="a" echo same', "same\n", 0),
    ("if 10 GTR 9 echo more", "more\n", 0),
    ("if defined HOME echo yes", "yes\n", 0),
    ("for %x in (1 2 3) do @echo %x", "1\n2\n3\n", 0),
    ("for %f in (*.txt) do @echo %~nf", "a\nb\n", 0),
    ("for /d %d in (*) do echo %d", "sub\n", 0),
    ("for /l %i in (3,-1,1) do echo %i", "3\n2\n1\n", 0),
    ("for /f %l in ('type a.txt') do echo [%l]", "[alpha]\n[beta]\n", 0),
    ('for /f "tokens=1,2* delims=," %a in ("1,2,3,4") do echo %b %a %c', "2 1 3,4\n", 0),
    (r"for /r %f in (*.txt) do echo %~nxf", "a.txt\nb.TXT\nc.txt\n", 0),
    ("findstr /n a *.txt", "a.txt:1:alpha\na.txt:2:beta\nb.TXT:1:gamma\n", 0),
    ("findstr /i ALPHA a.txt", "alpha\n", 0),
    ("findstr /v alpha a.txt", "beta\n", 0),
    ('findstr /c:"a b" /c:alpha a.txt', "alpha\n", 0),
    ('findstr "xx beta" a.txt', "beta\n", 0),
    ("findstr ^^b.*a$ a.txt", "beta\n", 0),
    ("findstr /s /m delta *.txt", "c.txt\n", 0),
    ('type a.txt | find /c "a"', "2\n", 0),
    ('type a.txt | find /v "alpha"', "beta\n", 0),
    ("cls", "\f\n", 0),
    ("where sh", "/bin/sh\n", 0),
    ("rem nothing & echo x", "", 0),
    ("exit 5 & echo no", "", 5),
    ("exit /b 4", "", 4),
    ("d: & cd", "D:\\home\\site\\wwwroot\n", 0),
    ("ls *.txt", "a.txt\nb.TXT\n", 0),
    (r"ls sub\*.txt", "{home}/site/wwwroot/sub/c.txt\n", 0),
    (r"cat sub\c.txt | wc -l", "1\n", 0),
    ("ls -la > nul && echo ok", "ok\n", 0),
    ('bash -c "echo $((1+1))"', "2\n", 0),
    ('bash -c "for i in 1 2; do echo $i; done"', "1\n2\n", 0),
    ("cat < a.txt | sort -r", "beta\nalpha\n", 0),
    ("echo $HOME", "{home}\n", 0),
    ("echo 'single  quotes'", "single  quotes\n", 0),
    ("echo a; echo b", "a\nb\n", 0),
    ("echo 'x' & echo. & cd", "x\n \nD:\\home\\site\\wwwroot\n", 0),
    ("cd ~; cd site; false & echo. & cd", " \nD:\\home\\site\n", 1),
    ("exit_code() { return 3; }; exit_code", "", 3),
]


@pytest.mark.parametrize(("line", "output", "code"), LINES, ids=[line for line, _, _ in LINES])
def test_a_line_does_what_a_person_at_the_console_expects(
    run: Run, files: Path, home: Path, line: str, output: str, code: int
) -> None:
    result = run(line, r"site\wwwroot")

    assert (result.output, result.exit_code) == (output.replace("{home}", str(home)), code), result.error


@pytest.mark.parametrize(
    ("line", "error", "code"),
    [
        ("foo", UNKNOWN, 1),
        ("foo & echo.", UNKNOWN, 0),
        ("type nope", "The system cannot find the file specified.\n", 1),
        ("cd nope", "The system cannot find the path specified.\n", 1),
        ("dir nope", "File Not Found\n", 1),
        ("md sub", "A subdirectory or file sub already exists.\n", 1),
        ("del nope", "Could Not Find D:\\home\\site\\wwwroot\\nope\n", 0),
        ("set NOPE", "Environment variable NOPE not defined\n", 1),
        ("echo x > nope/y", "The system cannot find the path specified.\n", 1),
        ("a && && b", "&& was unexpected at this time.\na && && b\n     ^\n", 255),
        ("rd /s sub", "Nobody can answer here: add /q to remove the folder.\n", 1),
        ("del *", "Nobody can answer here: add /q to delete every file of the folder.\n", 1),
        ("goto x", "", 0),
        ("foo $X", "bash: line 1: foo: command not found\n", 127),
    ],
)
def test_a_failure_is_told_on_the_error_stream(
    run: Run, files: Path, line: str, error: str, code: int
) -> None:
    result = run(line, r"site\wwwroot")

    assert (result.error, result.exit_code) == (error, code)


def test_a_path_without_counterpart_is_explained(run: Run) -> None:
    result = run(r"type C:\Windows\win.ini")

    assert result.exit_code == 1
    assert "no counterpart here" in (result.error or "")


def test_dir_lists_as_windows_does(run: Run, files: Path) -> None:
    output = run(r"cd site\wwwroot && dir").output or ""

    lines = output.splitlines()
    assert lines[0] == " Volume in drive D is Homeport"
    assert lines[2] == r" Directory of D:\home\site\wwwroot"
    assert lines[4].endswith("    <DIR>          .")
    assert lines[6].endswith("                11 a.txt")
    assert lines[8].endswith("    <DIR>          sub")
    assert lines[9] == "               2 File(s)             17 bytes"
    assert lines[10].startswith("               3 Dir(s) ")


def test_a_pipe_ends_when_its_reader_does(run: Run) -> None:
    assert run("(for /l %i in (1,0,2) do @echo %i) | head -n 2").output == "1\n1\n"
    assert run("yes | head -n 2").output == "y\ny\n"


def test_a_built_in_writes_more_than_a_pipe_holds(run: Run, home: Path) -> None:
    (home / "big").write_text("x" * 99 + "\n" + "y\n" * 300_000)

    assert run('type big | findstr y | find /c "y"').output == "300000\n"
    assert run("type big | head -n 1").output == "x" * 99 + "\n"


def test_a_program_of_another_system_is_refused_with_a_reason(run: Run, home: Path) -> None:
    (home / "tool.exe").write_bytes(b"MZ\x90\0\3\0\0\0")
    (home / "tool.exe").chmod(0o755)

    result = run("tool.exe")

    assert result.exit_code == 216
    assert "not a program that Linux can run" in (result.error or "")
