import pytest

from homeport.windows.argument_paths import map_argument, map_arguments
from homeport.windows.layout import Layout
from homeport.windows.paths import Rule

from .trees import tree

LAYOUT = Layout()
FILES = tree("/home/site/wwwroot/app/manage.py", "/home/LogFiles/x.log")


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        (r"d:\home\site\wwwroot\requirements.txt", "/home/site/wwwroot/requirements.txt"),
        (r"--opt=D:\home\x", "/home/x"),
        (r"NAME=D:\home\x", "/home/x"),
        (r"/out:D:\home\x", "/home/x"),
        (r"-ID:\home\include", "/home/include"),
        (r"%HOME%\logfiles\X.LOG", "/home/LogFiles/x.log"),
        (r"\home\LogFiles", "/home/LogFiles"),
        ("D:/home/LogFiles/", "/home/LogFiles/"),
        (r"app\manage.py", "/home/site/wwwroot/app/manage.py"),
        (r".\new.txt", "/home/site/wwwroot/new.txt"),
        (r"..\..\LogFiles", "/home/LogFiles"),
    ],
)
def test_a_path_in_an_argument_is_mapped(argument: str, value: str) -> None:
    mapped = map_argument(argument, LAYOUT, list_folder=FILES, directory="/home/site/wwwroot")

    prefix = {"--": "--opt=", "NA": "NAME=", "/o": "/out:", "-I": "-I"}.get(argument[:2], "")
    assert mapped.value == prefix + value


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "x",
        "-m",
        "a/b",
        r"\d+\.py",
        r"foo\bar",
        "http://x/y",
        "print('a\\nb')",
        r"C:\Windows\x",
        r"\\server\x",
        "/home/site",
        "--x=y",
        "100%",
    ],
)
def test_what_is_not_a_path_or_has_no_counterpart_stays(argument: str) -> None:
    assert map_argument(argument, LAYOUT, list_folder=FILES, directory="/home/site/wwwroot").value == argument


def test_a_drive_path_without_counterpart_is_reported() -> None:
    path = map_argument(r"--x=C:\Windows\x", LAYOUT).path

    assert path is not None
    assert path.rule is Rule.UNMAPPED


def test_a_line_of_arguments_is_split_and_mapped() -> None:
    mapped = map_arguments(r'"D:\home\a b.py" --port %HTTP_PLATFORM_PORT% %HOME%\x', LAYOUT)

    assert [argument.value for argument in mapped] == [
        "/home/a b.py",
        "--port",
        "%HTTP_PLATFORM_PORT%",
        "/home/x",
    ]
