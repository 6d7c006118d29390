import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.model.errors import Invalid, Unsupported
from homeport.runtimes.ids import format_extension_id, parse_extension_id

VERSIONS = st.tuples(st.just(3), st.integers(6, 19), st.integers(0, 99))


@pytest.mark.parametrize(
    ("text", "version", "folder"),
    [
        ("python361x64", (3, 6, 1), "python361x64"),
        ("Python361x64", (3, 6, 1), "python361x64"),
        ("python3117x64", (3, 11, 7), "python3117x64"),
        ("python3615x64", (3, 6, 15), "python3615x64"),
        ("python3130x64", (3, 13, 0), "python3130x64"),
        ("python31013x64", (3, 10, 13), "python31013x64"),
        ("python36x64", (3, 6), "python36x64"),
        ("python311x64", (3, 11), "python311x64"),
        ("python313", (3, 13), "python313x64"),
        ("azureappservice-python364x64", (3, 6, 4), "python364x64"),
        ("AzureAppService-Python362x86", (3, 6, 2), "python362x86"),
    ],
)
def test_an_id_tells_the_version_and_the_folder(text: str, version: tuple[int, ...], folder: str) -> None:
    parsed = parse_extension_id(text)

    assert (parsed.version, parsed.folder) == (version, folder)


def test_the_prefix_stays_in_the_id() -> None:
    assert parse_extension_id("AzureAppService-Python364x64").text == "azureappservice-python364x64"


def test_x86_is_read_as_32_bits() -> None:
    assert parse_extension_id("python361x86").bits == 32


@pytest.mark.parametrize(
    "text", ["python2714x64", "azureappservice-python2714x86", "python27", "python353x64"]
)
def test_a_python_that_is_too_old_is_refused_with_what_is_supported(text: str) -> None:
    with pytest.raises(Unsupported, match=r"3\.6 and newer"):
        parse_extension_id(text)


@pytest.mark.parametrize(
    "text", ["", "python", "python3", "php74", "python3117x65", "python99x64", "../python361x64"]
)
def test_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Invalid, match="python3117x64"):
        parse_extension_id(text)


@given(VERSIONS)
def test_a_written_id_is_read_back(version: tuple[int, int, int]) -> None:
    parsed = parse_extension_id(format_extension_id(version))

    assert parsed.version == version


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 20, 0), (3, 1, 7), (3, 6, 100)])
def test_a_version_that_an_id_cannot_tell_is_refused(version: tuple[int, int, int]) -> None:
    with pytest.raises(Invalid):
        format_extension_id(version)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parsed = parse_extension_id(text)
    except (Invalid, Unsupported):
        return

    assert parsed.folder.startswith("python")
