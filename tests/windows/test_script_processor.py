import pytest

from homeport.model.errors import Invalid
from homeport.windows.script_processor import parse_script_processor, registered_processor


@pytest.mark.parametrize(
    ("text", "program", "arguments"),
    [
        (r"D:\p\python.exe|D:\p\wfastcgi.py", r"D:\p\python.exe", (r"D:\p\wfastcgi.py",)),
        (r'"C:\a b\python.exe"|"C:\a b\wfastcgi.py"', r"C:\a b\python.exe", (r"C:\a b\wfastcgi.py",)),
        (r'python.exe|"C:\x\wfastcgi.py"', "python.exe", (r"C:\x\wfastcgi.py",)),
        (r"D:\php\php-cgi.exe", r"D:\php\php-cgi.exe", ()),
        (r"a.exe|-u x|y", "a.exe", ("-u", "x|y")),
        (" a.exe | b ", "a.exe", ("b",)),
    ],
)
def test_the_program_is_split_from_its_arguments_at_the_first_bar(
    text: str, program: str, arguments: tuple[str, ...]
) -> None:
    processor = parse_script_processor(text)

    assert (processor.program, processor.argument_list) == (program, arguments)


@pytest.mark.parametrize("text", ["", "|x", '""|x', "  "])
def test_a_processor_without_a_program_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as raised:
        parse_script_processor(text)

    assert raised.value.code == "script-processor.no-program"


def test_processors_are_compared_without_case_and_outer_quotes() -> None:
    used = parse_script_processor(r'D:\Home\python361x64\PYTHON.exe|"D:\home\python361x64\wfastcgi.py"')
    registered = registered_processor(r"D:\home\python361x64\python.exe", r"d:\home\Python361x64\wfastcgi.py")

    assert used.key == registered.key
