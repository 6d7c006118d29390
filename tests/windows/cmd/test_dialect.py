import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.windows.cmd.dialect import Dialect, decide_dialect

VARIABLES = {"HOME": r"D:\home"}

CMD = [
    "",
    "dir",
    "ls -la /home/site",
    "rm -rf x",
    "grep foo | wc -l",
    "a && b || c & d",
    'python.exe -c "import sys; print(sys.version)"',
    r"python.exe -m pip install --upgrade -r d:\home\site\wwwroot\requirements.txt",
    r"Scripts\pip.exe list",
    r"cd site\wwwroot && dir",
    r"cd .. & echo. & cd",
    "echo %HOME%; x",
    "echo it's fine",
    'bash -c "for i in 1 2; do echo $i; done"',
    "bash -c \"ls && echo '' && pwd\"",
    "if exist web.config type web.config",
    "for %x in (a b) do echo %x",
    "set PATH=%PATH%;x",
    "echo a;b",
    "findstr foo$ x",
    "type 'x'",
    "echo hello | findstr h",
    'echo "a; b"',
    "ls > /dev/null 2>&1",
    r'type "\home\LogFiles\a b.log"',
]

POSIX = [
    "echo $HOME",
    'echo "$HOME/site"',
    "echo 'single quotes'",
    "a; b",
    "ls $(pwd)",
    "ls `pwd`",
    "ls ~/site",
    "cd ~",
    "X=1 python app.py",
    "export X=1 && env",
    "for x in a b; do echo $x; done",
    "if [ -f x ]; then ls; fi",
    "[ -f x ] && ls",
    "test -f x",
    "while true; do :; done",
    "bash -c 'ls -la'",
    "pip install 'flask>=1'",
    "awk '{print $1}' x",
    "ls &> x",
    "cat << EOF",
    "find . -type f -exec ls {} \\;",
    "echo $?",
    "set -e; ls",
]


@pytest.mark.parametrize("line", CMD)
def test_lines_without_syntax_that_only_posix_has_are_cmd(line: str) -> None:
    assert decide_dialect(line, VARIABLES) is Dialect.CMD


@pytest.mark.parametrize("line", POSIX)
def test_lines_with_syntax_that_only_posix_has_are_posix(line: str) -> None:
    assert decide_dialect(line, VARIABLES) is Dialect.POSIX


@given(st.text())
def test_every_line_is_decided(line: str) -> None:
    assert decide_dialect(line, VARIABLES) in Dialect
