import pytest

from homeport.windows.cmd.words import split_command, split_operands


@pytest.mark.parametrize(
    ("text", "name", "tail"),
    [
        ("dir", "dir", ""),
        (" dir  /b x", "dir", "  /b x"),
        ("dir/b", "dir", "/b"),
        ("cd..", "cd", ".."),
        ("cd\\", "cd", "\\"),
        ("echo.", "echo", "."),
        ("ECHO.hi", "ECHO", ".hi"),
        ("echo(", "echo", "("),
        ('"D:\\a b\\x.exe" y', "D:\\a b\\x.exe", " y"),
        ("Scripts\\pip.exe list", "Scripts\\pip.exe", " list"),
        ("type.exe x", "type.exe", " x"),
        ("python.exe -m pip", "python.exe", " -m pip"),
        ("/usr/bin/env x", "/usr/bin/env", " x"),
        ("a=b", "a", "=b"),
        ("", "", ""),
    ],
)
def test_a_command_is_split_into_its_name_and_the_rest(text: str, name: str, tail: str) -> None:
    assert split_command(text) == (name, tail)


@pytest.mark.parametrize(
    ("tail", "switches", "words"),
    [
        (" /b /s x", ("/b", "/s"), ("x",)),
        ("/S/Q x y", ("/s", "/q"), ("x", "y")),
        (' "a b" c', (), ("a b", "c")),
        (r' D:\home\"a b"', (), (r"D:\home\a b",)),
        (" /home/site /b", ("/b",), ("/home/site",)),
        (" a,b;c=d", (), ("a", "b", "c", "d")),
        ("", (), ()),
    ],
)
def test_operands_are_split_into_switches_and_words(
    tail: str, switches: tuple[str, ...], words: tuple[str, ...]
) -> None:
    operands = split_operands(tail, switches="[bsq]")

    assert (operands.switches, operands.words) == (switches, words)
    assert all(operands.has(switch) for switch in switches)
