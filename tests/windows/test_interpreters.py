import pytest

from homeport.windows.interpreters import (
    InterpreterKind,
    folder_version,
    is_virtualenv_proxy,
    is_wfastcgi,
    recognise_interpreter,
    recognise_site_packages,
)
from homeport.windows.layout import Layout

LAYOUT = Layout()
EXTENSION, BUILT_IN, MACHINE, ENVIRONMENT, FOLDER, BARE = InterpreterKind


@pytest.mark.parametrize(
    ("text", "kind", "folder", "version", "bits"),
    [
        (r"D:\home\Python361x64\python.exe", EXTENSION, "Python361x64", (3, 6, 1), 64),
        (r"c:\HOME\python354x86\pythonw.exe", EXTENSION, "python354x86", (3, 5, 4), 32),
        (r"%HOME%\python3117x64\python.exe", EXTENSION, "python3117x64", (3, 11, 7), 64),
        (r"\home\Python35\python.exe", EXTENSION, "Python35", (3, 5), None),
        ("/home/python3117x64/bin/python3.11", EXTENSION, "python3117x64", (3, 11, 7), 64),
        (r"D:\home\python361x64\Scripts\python.exe", EXTENSION, "python361x64", (3, 6, 1), 64),
        (r"D:\home\python\python.exe", EXTENSION, "python", (), None),
        (r"%SystemDrive%\Python27\python.exe", BUILT_IN, "Python27", (2, 7), None),
        (r"D:\Python34\..\Python34\python.exe", BUILT_IN, "Python34", (3, 4), None),
        (r"C:\python36-32\python.exe", MACHINE, "python36-32", (3, 6), 32),
        (r"D:\home\site\wwwroot\env\Scripts\python.exe", ENVIRONMENT, "site/wwwroot/env", (), None),
        (r"D:\home\site\tools\py\python.exe", FOLDER, "site/tools/py", (), None),
        ("python", BARE, "", (), None),
        ("Python.EXE", BARE, "", (), None),
        ("py", BARE, "", (), None),
        ('"python3.exe"', BARE, "", (), None),
    ],
)
def test_an_interpreter_is_recognised_by_its_path(
    text: str, kind: InterpreterKind, folder: str, version: tuple[int, ...], bits: int | None
) -> None:
    found = recognise_interpreter(text, LAYOUT)

    assert found is not None
    assert (found.kind, found.folder, found.version, found.bits) == (kind, folder, version, bits)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "php-cgi.exe",
        r"D:\home\python361x64\wfastcgi.py",
        r"\\server\python\python.exe",
        "/usr/bin/python3",
        r"D:\tools\deep\python.exe",
        "pypy.exe",
        r"env\Scripts\python.exe",
        r"D:\home\x\ipython.exe",
    ],
)
def test_other_programs_are_not_taken_for_interpreters(text: str) -> None:
    assert recognise_interpreter(text, LAYOUT) is None


def test_home_may_be_another_folder() -> None:
    found = recognise_interpreter("/srv/home/python361x64/python.exe", Layout(home="/srv/home"))

    assert found is not None
    assert found.kind is EXTENSION


@pytest.mark.parametrize(
    ("folder", "version"),
    [
        ("python2711x64", (2, 7, 11)),
        ("Python27", (2, 7)),
        ("python361x64", (3, 6, 1)),
        ("azureappservice-python364x86", (3, 6, 4)),
        ("python3818x64", (3, 8, 18)),
        ("python310", (3, 10)),
        ("python3110x64", (3, 11, 0)),
        ("python31210x64", (3, 12, 10)),
        ("python", ()),
        ("pythonista", ()),
    ],
)
def test_a_folder_name_tells_the_version(folder: str, version: tuple[int, ...]) -> None:
    assert folder_version(folder) == version


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"D:\home\x\wfastcgi.py", True),
        ('"WFASTCGI.PY"', True),
        (r"D:\Python34\Scripts\wfastcgi.exe", True),
        ("/opt/wfastcgi.py", True),
        ("my_wfastcgi.py", False),
        ("wfastcgi", False),
        ("wfastcgi.py.txt", False),
    ],
)
def test_wfastcgi_is_recognised(text: str, expected: bool) -> None:
    assert is_wfastcgi(text) is expected


def test_the_virtualenv_proxy_is_recognised() -> None:
    assert is_virtualenv_proxy("ptvs_virtualenv_proxy.get_venv_handler()")
    assert not is_virtualenv_proxy("app.wsgi_app")


@pytest.mark.parametrize(
    ("text", "kind", "folder", "rest"),
    [
        (r"D:\Python34\Lib\site-packages", BUILT_IN, "Python34", ""),
        (r"D:\home\python361x64\lib\site-packages\flask\x", EXTENSION, "python361x64", "flask/x"),
        (r"%HOME%\site\wwwroot\env\Lib\site-packages", ENVIRONMENT, "site/wwwroot/env", ""),
    ],
)
def test_site_packages_of_an_interpreter_are_recognised(
    text: str, kind: InterpreterKind, folder: str, rest: str
) -> None:
    found = recognise_site_packages(text, LAYOUT)

    assert found is not None
    assert (found[0].kind, found[0].folder, found[1]) == (kind, folder, rest)


def test_other_library_folders_are_not() -> None:
    assert recognise_site_packages(r"D:\home\site\wwwroot\lib", LAYOUT) is None
