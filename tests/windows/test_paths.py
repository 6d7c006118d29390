import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.model.errors import Invalid
from homeport.windows.layout import Layout
from homeport.windows.paths import Rule, is_windows_path, map_path, windows_text

from .trees import tree

LAYOUT = Layout()

MAPPED = [
    (r"D:\home", "/home", Rule.HOME),
    (r"d:\HOME\site\wwwroot", "/home/site/wwwroot", Rule.HOME),
    (r"C:\home\site\wwwroot\\app.py", "/home/site/wwwroot/app.py", Rule.HOME),
    ("D:/home/site", "/home/site", Rule.HOME),
    (r"D:\home\\", "/home", Rule.HOME),
    (r"\home\python361x64", "/home/python361x64", Rule.HOME),
    ("/home/site", "/home/site", Rule.HOME),
    ("/HOME/site", "/home/site", Rule.HOME),
    (r"D:\home\site\..\LogFiles\.\a.log", "/home/LogFiles/a.log", Rule.HOME),
    (r"C:\DWASFiles\Sites\mysite\VirtualDirectory0\site", "/home/site", Rule.HOME_EXPANDED),
    (r"D:\local\Temp\x", "/tmp/x", Rule.TEMPORARY),
    (r"D:\local\temporary", "/local/temporary", Rule.LOCAL),
    (r"D:\local", "/local", Rule.LOCAL),
    (r"%HOME%\site", "/home/site", Rule.HOME),
    (r"%home%\..\home\site", "/home/site", Rule.HOME),
    (r"%HOME_EXPANDED%\site", "/home/site", Rule.HOME_EXPANDED),
    (r"%TEMP%\a", "/tmp/a", Rule.TEMPORARY),
    (r"%SystemDrive%\home\x", "/home/x", Rule.HOME),
    (r"\\?\%home%\LogFiles\stdout", "/home/LogFiles/stdout", Rule.HOME),
    (r"\\?\D:\home\site", "/home/site", Rule.HOME),
    ("/usr/bin/git", "/usr/bin/git", Rule.LINUX),
    ("/data/10:30.", "/data/10:30.", Rule.LINUX),
    ("//srv//www", "/srv/www", Rule.LINUX),
    (r"site\wwwroot", "site/wwwroot", Rule.RELATIVE),
    (r".\httpplatform-stdout", "httpplatform-stdout", Rule.RELATIVE),
]


@pytest.mark.parametrize(("text", "posix", "rule"), MAPPED)
def test_each_row_of_the_table_gives_its_linux_path(text: str, posix: str, rule: Rule) -> None:
    mapped = map_path(text, LAYOUT)

    assert (mapped.posix, mapped.rule, mapped.problem) == (posix, rule, None)
    assert mapped.required() == posix


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (r"E:\home\site", "paths.unmapped-drive-path"),
        (r"D:\Windows\System32", "paths.unmapped-drive-path"),
        (r"D:\homestead", "paths.unmapped-drive-path"),
        (r"D:\home\..\..\etc\passwd", "paths.unmapped-drive-path"),
        ("D:\\", "paths.unmapped-drive-path"),
        (r"\Windows", "paths.unmapped-drive-path"),
        (r"\\server\share\x", "paths.network-share"),
        (r"\\?\UNC\server\share", "paths.network-share"),
        (r"\\?\E:\home", "paths.unmapped-drive-path"),
        (r"D:\home\a.txt:stream", "paths.alternate-data-stream"),
        (r"x\C:\home", "paths.alternate-data-stream"),
        (r"D:\home\web.config.", "paths.trailing-dot-or-space"),
        ("D:\\home\\a \\b", "paths.trailing-dot-or-space"),
        (r"D:\home\...\x", "paths.trailing-dot-or-space"),
        ("D:\\home\\a\0b", "paths.invalid-character"),
    ],
)
def test_what_has_no_linux_path_says_why_and_names_the_text(text: str, code: str) -> None:
    mapped = map_path(text, LAYOUT)

    assert mapped.posix is None
    assert mapped.problem is not None
    assert mapped.problem.code == code
    with pytest.raises(Invalid) as raised:
        mapped.required()
    assert raised.value.code == code


def test_an_unknown_variable_stays_and_is_noted() -> None:
    mapped = map_path(r"D:\home\%NOPE%\x", LAYOUT)

    assert mapped.posix == "/home/%NOPE%/x"
    assert any("NOPE" in note for note in mapped.notes)


def test_relative_text_starts_at_the_directory() -> None:
    assert map_path(r"..\LogFiles\x", LAYOUT, directory="/home/site").posix == "/home/LogFiles/x"


def test_home_can_be_any_folder() -> None:
    layout = Layout(home="/var/sites/a/home", temporary="/var/sites/a/tmp", drive="C:")

    assert map_path(r"D:\home\site", layout).posix == "/var/sites/a/home/site"
    assert map_path("/var/sites/a/home/site", layout).posix == "/var/sites/a/home/site"
    assert windows_text("/var/sites/a/home/site", layout) == r"C:\home\site"


def test_letter_case_is_corrected_name_by_name_where_the_spelling_does_not_exist() -> None:
    listing = tree("/home/site/wwwroot/MyApp/Views.py")

    mapped = map_path(r"D:\HOME\Site\WWWRoot\myapp\views.PY", LAYOUT, list_folder=listing)

    assert mapped.posix == "/home/site/wwwroot/MyApp/Views.py"
    assert mapped.exists
    assert len(mapped.notes) == 4


def test_the_exact_spelling_wins_over_others() -> None:
    listing = tree("/home/a.txt", "/home/A.txt")

    assert map_path(r"D:\home\A.txt", LAYOUT, list_folder=listing).posix == "/home/A.txt"


def test_several_spellings_are_not_chosen_from_but_noted() -> None:
    listing = tree("/home/a.txt", "/home/A.txt")

    mapped = map_path(r"D:\home\A.TXT", LAYOUT, list_folder=listing)

    assert (mapped.posix, mapped.exists) == ("/home/A.TXT", False)
    assert "A.txt or a.txt" in mapped.notes[0]


def test_the_part_that_does_not_exist_keeps_its_spelling() -> None:
    mapped = map_path(r"D:\home\logfiles\New\X.log", LAYOUT, list_folder=tree("/home/LogFiles/"))

    assert (mapped.posix, mapped.exists) == ("/home/LogFiles/New/X.log", False)


@pytest.mark.parametrize(
    ("posix", "text"),
    [
        ("/home", r"D:\home"),
        ("/home/site/wwwroot/", r"D:\home\site\wwwroot"),
        ("/tmp/x", r"D:\local\Temp\x"),
        ("/local/UserProfile", r"D:\local\UserProfile"),
        ("/usr/bin", "/usr/bin"),
        ("/homes", "/homes"),
    ],
)
def test_linux_paths_have_windows_text(posix: str, text: str) -> None:
    assert windows_text(posix, LAYOUT) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"D:\x", True),
        ("c:/x", True),
        (r"%HOME%\x", True),
        (r"\\s\x", True),
        ("d:", True),
        ("x", False),
        ("/home", False),
        ("http://x", False),
        ("100% of %", False),
        (r"a\b", False),
    ],
)
def test_what_must_be_read_as_a_windows_path(text: str, expected: bool) -> None:
    assert is_windows_path(text) is expected


_NAMES = st.text(st.characters(categories=("L", "N"), include_characters="-_ ."), min_size=1).filter(
    lambda name: not name.endswith((".", " "))
)


@given(st.sampled_from(["/home", "/tmp", "/local"]), st.lists(_NAMES, max_size=5))
def test_windows_text_of_a_linux_path_maps_back_to_it(root: str, names: list[str]) -> None:
    posix = posixpath.join(root, *names)
    if posix.lower().startswith("/local/temp"):
        return  # D:\local\Temp is /tmp: nothing else can be reached by that text

    assert map_path(windows_text(posix, LAYOUT), LAYOUT, variables={}).posix == posix


@given(st.text())
def test_any_text_is_mapped_or_refused_and_never_leaves_the_roots_by_a_drive_path(text: str) -> None:
    mapped = map_path("D:\\" + text, LAYOUT, list_folder=lambda _folder: None)

    assert (mapped.posix is None) is (mapped.problem is not None)
    if mapped.posix is not None:
        assert mapped.posix.split("/")[1] in {"home", "tmp", "local"}
        assert ".." not in mapped.posix.split("/")
