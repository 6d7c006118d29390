import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.webconfig.bounds import MOST_BYTES
from homeport.webconfig.document import Element, parse_document

SMALL = '<?xml version="1.0" encoding="{}"?>\n<configuration>\n  <appSettings>\n    <add key="é" value="ü"/>\n  </appSettings>\n</configuration>'


def root(data: bytes) -> Element:
    document, findings = parse_document(data, file="web.config")
    assert findings == []
    assert document is not None
    return document.root


def problem(data: bytes) -> tuple[str, int, int]:
    document, (finding,) = parse_document(data, file="web.config")
    assert document is None
    return finding.code.removeprefix("webconfig."), finding.line, finding.column


@pytest.mark.parametrize(
    "data",
    [
        SMALL.format("utf-8").encode(),
        codecs.BOM_UTF8 + SMALL.format("utf-8").encode(),
        codecs.BOM_UTF8 + SMALL.format("utf-16").encode(),
        codecs.BOM_UTF16_LE + SMALL.format("utf-16").encode("utf-16-le"),
        codecs.BOM_UTF16_BE + SMALL.format("utf-8").encode("utf-16-be"),
        SMALL.format("utf-16").encode("utf-16-le"),
        SMALL.format("utf-16").encode("utf-16-be"),
        SMALL.format("utf-16").encode(),
        SMALL.format("windows-1252").encode("cp1252"),
        SMALL.format("iso-8859-1").encode("latin-1"),
        SMALL.partition("\n")[2].encode(),
        b"\xef\xbb\xbf\r\n" + SMALL.partition("\n")[2].encode(),
    ],
)
def test_the_usual_encodings_are_read(data: bytes) -> None:
    (add,) = list(root(data).children[0].children)

    assert add.attributes == (("key", "é"), ("value", "ü"))


def test_elements_carry_their_lines() -> None:
    assert [element.line for element in root(SMALL.format("utf-8").encode()).below()] == [3, 4]


def test_a_name_space_of_dot_net_is_nothing() -> None:
    text = '<configuration xmlns="http://schemas.microsoft.com/.NetConfiguration/v2.0"><appSettings/></configuration>'

    assert root(text.encode()).children[0].name == "appSettings"


def test_malformed_text_is_told_with_line_and_column() -> None:
    assert problem(b"<configuration>\n  <appSettings>\n</configuration>") == ("malformed", 3, 17)


@pytest.mark.parametrize(
    "data", [b"", b"   ", b"\xef\xbb\xbf", b"hello", b"<a", b"<configuration/><b/>", b"\0\0\0\0"]
)
def test_what_is_no_xml_is_malformed(data: bytes) -> None:
    assert problem(data)[0] == "malformed"


def test_bytes_that_are_not_in_the_declared_encoding_are_told_with_their_line() -> None:
    assert problem("<configuration>\n<!-- é -->\n</configuration>".encode("latin-1"))[:2] == (
        "wrong-encoding",
        2,
    )


@pytest.mark.parametrize("name", ["klingon", "rot13", "punycode", "unicode_escape", "idna", "utf-7"])
def test_strange_encodings_are_refused(name: str) -> None:
    assert problem(SMALL.format(name).encode())[0] == "unknown-encoding"


def test_another_root_element_is_refused() -> None:
    assert problem(b"\n<config/>")[:2] == ("not-a-configuration", 2)


def test_a_document_type_is_refused_before_anything_is_expanded() -> None:
    bomb = '<!DOCTYPE c [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    text = f'<?xml version="1.0"?>\n<!-- <!DOCTYPE --> {bomb}]><configuration a="&i;"/>'

    assert problem(text.encode()) == ("document-type", 2, 20)


def test_outside_files_are_never_read() -> None:
    text = '<!DOCTYPE c SYSTEM "file:///etc/passwd"><configuration/>'

    assert problem(text.encode())[0] == "document-type"
    assert problem(text.encode("utf-16"))[0] == "document-type"


def test_size_and_depth_are_bounded() -> None:
    assert problem(b"<configuration>" + b" " * MOST_BYTES + b"</configuration>")[0] == "too-large"
    assert problem(b"<configuration>" + b"<a>" * 100 + b"</a>" * 100 + b"</configuration>")[0] == "too-deep"
    assert problem(b"<a>" * 100_000)[0] in {"malformed", "too-deep"}


@given(st.binary(max_size=300))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    document, findings = parse_document(data, file="web.config")

    assert (document is None) == bool(findings)


@given(st.text(max_size=200), st.sampled_from(["utf-8", "utf-16", "cp1252"]))
def test_no_text_makes_it_fail(text: str, encoding: str) -> None:
    document, findings = parse_document(text.encode(encoding, "replace"), file="web.config")

    assert (document is None) == bool(findings)
