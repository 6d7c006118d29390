import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.windows.cmd.expansion import expand_batch, expand_prompt, substitute_loop

VARIABLES = {"HOME": r"D:\home", "X": "abcabc"}


@pytest.mark.parametrize(
    ("line", "prompt", "batch"),
    [
        ("%HOME%", r"D:\home", r"D:\home"),
        ("%home%", r"D:\home", r"D:\home"),
        ("%no%.", "%no%.", "."),
        ("%no%HOME%", r"%noD:\home", "HOME"),
        ("50% & 3%", "50% & 3%", "50"),
        ("%%x", "%%x", "%x"),
        ("%X:b=Z%", "aZcaZc", "aZcaZc"),
        ("%X:B=%", "acac", "acac"),
        ("%X:*b=Z%", "Zcabc", "Zcabc"),
        ("%X:~1%", "bcabc", "bcabc"),
        ("%X:~1,2%", "bc", "bc"),
        ("%X:~-2%", "bc", "bc"),
        ("%X:~0,-1%", "abcab", "abcab"),
        ("%1 %~2 %*", "%1 %~2 %*", 'one t wo one "t wo"'),
        (
            "%0|%~dp0|%~n0|%~x0|%~nx0",
            "%0|%~dp0|%~n0|%~x0|%~nx0",
            r"D:\home\a.cmd|D:\home" + "\\|a|.cmd|a.cmd",
        ),
        ("%9", "%9", ""),
        ("echo %", "echo %", "echo "),
    ],
)
def test_names_are_expanded_as_at_the_prompt_and_in_a_batch_file(line: str, prompt: str, batch: str) -> None:
    assert expand_prompt(line, VARIABLES) == prompt
    assert expand_batch(line, VARIABLES, arguments=[r"D:\home\a.cmd", "one", '"t wo"']) == batch


def test_the_variable_of_a_loop_is_replaced_with_its_case_and_modifiers() -> None:
    assert substitute_loop("%x-%X", "x", value="v") == "v-%X"
    assert substitute_loop("%~nxx", "x", value=r"D:\a\b.py") == "b.py"
    assert substitute_loop("%~x", "x", value='"a b"') == "a b"


@given(st.text(st.characters(exclude_characters="%")))
def test_text_without_percent_signs_is_kept(text: str) -> None:
    assert expand_prompt(text, VARIABLES) == text
    assert expand_batch(text, VARIABLES, arguments=["x"]) == text
