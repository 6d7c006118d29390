import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.windows.layout import Layout
from homeport.windows.variables import Unknown, expand, linux_variables, windows_variables

VARIABLES = {"HOME": r"D:\home", "Empty": "", "P(x86)": "pf"}


@pytest.mark.parametrize(
    ("text", "kept", "erased"),
    [
        (r"%HOME%\site", r"D:\home\site", r"D:\home\site"),
        ("%home%", r"D:\home", r"D:\home"),
        ("%Empty%x", "x", "x"),
        ("%P(x86)%", "pf", "pf"),
        ("%no%x", "%no%x", "x"),
        ("%no%HOME%", r"%noD:\home", "HOME%"),
        ("100%", "100%", "100%"),
        ("a%%b", "a%%b", "a%%b"),
        ("% %", "% %", "% %"),
        ("%HOME%;%HOME%", r"D:\home;D:\home", r"D:\home;D:\home"),
    ],
)
def test_references_are_replaced_and_unknown_names_stay_or_vanish(text: str, kept: str, erased: str) -> None:
    assert expand(text, VARIABLES).text == kept
    assert expand(text, VARIABLES, unknown=Unknown.ERASE).text == erased


def test_a_value_is_not_expanded_again() -> None:
    assert expand("%a%", {"a": "%b%", "b": "x"}).text == "%b%"


def test_the_names_that_were_replaced_and_missed_are_told() -> None:
    expansion = expand("%HOME% %nope%", VARIABLES)

    assert (expansion.replaced, expansion.unknown) == (("HOME",), ("nope",))


def test_the_platform_variables_exist_in_both_texts() -> None:
    assert windows_variables(Layout())["HOME"] == r"D:\home"
    assert linux_variables(Layout())["HOME"] == "/home"
    assert windows_variables(Layout(), site="a")["HOME_EXPANDED"] == r"C:\DWASFiles\Sites\a\VirtualDirectory0"
    assert linux_variables(Layout())["TEMP"] == "/tmp"
    assert windows_variables(Layout(drive="C:"))["SystemRoot"] == r"C:\Windows"


@given(st.text())
def test_text_without_known_names_is_kept_as_it_is(text: str) -> None:
    assert expand(text, {}).text == text
