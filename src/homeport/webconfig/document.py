"""From the bytes of a web.config to elements with line numbers, or to findings that say where it is broken.

Documents come from tenants: nothing outside is read, no entity is declared, and size and depth are bounded.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from homeport.model.finding import Finding
from homeport.webconfig.bounds import MOST_BYTES, MOST_DEPTH, MOST_ELEMENTS
from homeport.webconfig.fault import Fault

_NET_NAMESPACE = "http://schemas.microsoft.com/.NetConfiguration/v2.0"
_DECLARATION = re.compile(r"<\?xml\b(?P<attributes>[^>]*?)\?>")
_ENCODING = re.compile(r"""\bencoding\s*=\s*["'](?P<name>[A-Za-z][A-Za-z0-9._-]*)["']""")
_ENCODINGS = re.compile(
    r"utf-(?:8|16|16-le|16-be|32|32-le|32-be)|ascii|iso8859-\d+|cp\d+|gbk|gb2312|gb18030|big5|shift_jis|euc_\w+|koi8-\w"
)
_BEGINNING = re.compile(
    r"""<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<(?P<name>[^\s/>!?]+)(?:[^"'>]|"[^"]*"|'[^']*')*>""",
    re.DOTALL,
)
_PLACE = re.compile(r", line \d+, column \d+.*\Z", re.DOTALL)
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """An element: names as written, attributes in document order, the line it starts on."""

    name: str
    attributes: tuple[tuple[str, str], ...] = ()
    children: tuple["Element", ...] = ()
    line: int = 0

    def get(self, name: str) -> str | None:
        """Return an attribute's value, None where it is not written."""
        return next((value for known, value in self.attributes if known == name), None)

    def named(self, name: str) -> Iterator["Element"]:
        """Iterate over the children of that name."""
        return (child for child in self.children if child.name == name)

    def below(self) -> Iterator["Element"]:
        """Iterate over all descendants in document order."""
        for child in self.children:
            yield child
            yield from child.below()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A parsed web.config; `root` is its `<configuration>`."""

    file: str
    root: Element


def parse_document(data: bytes, *, file: str) -> tuple[Document | None, list[Finding]]:
    """Parse one file; where the document is None, the findings hold the error that makes it useless.

    `file` is its path below the content folder, for the findings.
    """
    try:
        return Document(file=file, root=_parse(data)), []
    except Fault as fault:
        return None, [fault.finding(file)]


def well_formed_text(data: bytes, *, file: str) -> tuple[str | None, list[Finding]]:
    """Decode any XML file within the bounds of a web.config, whatever its element; None and an error where it is none.

    The text is the file's own, declaration included, without a byte order mark.
    """
    try:
        text, root = _well_formed(data)
        _check_depth(root)
    except Fault as fault:
        return None, [fault.finding(file)]
    encoding, data = _encoding(data)
    declaration = _DECLARATION.match(data.decode(encoding))
    return (declaration[0] + text[len(declaration[0]) :] if declaration else text), []


def encode_like(text: str, original: bytes) -> bytes:
    """Encode a text as a file is that `well_formed_text` has read: its encoding, and its byte order mark."""
    encoding, rest = _encoding(original)
    mark = original[: len(original) - len(rest)]
    return mark + text.encode(encoding, "xmlcharrefreplace")


def _parse(data: bytes) -> Element:
    text, root = _well_formed(data)
    lines = _start_lines(text)
    element = _element(root, lines, depth=1)
    if element.name != "configuration":
        raise Fault(
            "not-a-configuration",
            f"The document's element is <{element.name}>; a web.config holds <configuration>.",
            line=element.line,
        )
    return element


def _well_formed(data: bytes) -> "tuple[str, etree._Element]":
    if len(data) > MOST_BYTES:
        raise Fault(
            "too-large",
            f"The file has {len(data)} bytes; a web.config may have {MOST_BYTES}.",
            remedy="Move data out of it.",
        )
    text = _decode(data)
    _refuse_document_type(text)
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        huge_tree=False,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        encoding="utf-8",
    )
    try:
        root = etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise _from_syntax_error(error) from error
    if sum(1 for _ in root.iter()) > MOST_ELEMENTS:
        raise Fault("too-large", f"The file has more than {MOST_ELEMENTS} elements.")
    return text, root


def _check_depth(root: "etree._Element") -> None:
    level, depth = [root], 0
    while level:
        depth += 1
        if depth > MOST_DEPTH:
            raise Fault("too-deep", f"Elements are nested more than {MOST_DEPTH} deep.", line=_line(level[0]))
        level = [child for element in level for child in element]


def _decode(data: bytes) -> str:
    """Decode as .NET does: a byte order mark decides, then the declaration, then UTF-8.

    The declaration is blanked out, since the text is handed on as UTF-8; lines stay where they are.
    """
    encoding, data = _encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Fault(
            "wrong-encoding",
            f"The file is not {encoding.upper()} text, as it says or as is the rule for files that say nothing.",
            line=line,
            remedy="Save it as UTF-8.",
        ) from error
    declaration = _DECLARATION.match(text)
    if declaration:
        text = re.sub(r"[^\n]", " ", declaration[0]) + text[declaration.end() :]
    # XML forbids blanks before a declaration only, and that is gone.
    return text


def _encoding(data: bytes) -> tuple[str, bytes]:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding, data[len(mark) :]
    if data[:2] == b"<\0":
        return "utf-16-le", data
    if data[:2] == b"\0<":
        return "utf-16-be", data
    declaration = _DECLARATION.match(data[:400].decode("latin-1"))
    named = _ENCODING.search(declaration["attributes"]) if declaration else None
    if named is None:
        return "utf-8", data
    try:
        encoding = codecs.lookup(named["name"]).name
    except LookupError:
        encoding = ""
    if not _ENCODINGS.fullmatch(encoding):
        raise Fault(
            "unknown-encoding",
            f"The file says it is '{named['name']}', which is no encoding known here.",
            line=1,
            remedy="Save it as UTF-8.",
        )
    # .NET takes a declared UTF-16 without its two-byte characters for what it is: text in one-byte ones.
    return ("utf-8" if encoding.startswith(("utf-16", "utf-32")) else encoding), data


def _refuse_document_type(text: str) -> None:
    """Refuse <!DOCTYPE before the parser sees it: what it declares could only do harm."""
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        closing = "?>" if text.startswith("<?", at) else "-->" if text.startswith("<!--", at) else None
        if closing is None:
            break
        end = text.find(closing, at + 2)
        if end < 0:
            return
        at = end + len(closing)
    if text[at : at + 9].upper() == "<!DOCTYPE":
        raise Fault(
            "document-type",
            "The file declares a document type (<!DOCTYPE>), which a web.config may not.",
            line=text.count("\n", 0, at) + 1,
            column=at - text.rfind("\n", 0, at),
            remedy="Remove the declaration.",
        )


def _from_syntax_error(error: etree.XMLSyntaxError) -> Fault:
    line, column = error.position
    reason = _PLACE.sub("", error.msg or "it is no XML")
    return Fault(
        "malformed",
        f"The file is no well-formed XML: {reason}.",
        line=max(line or 0, 0),
        column=max(column, 0),
        remedy="Correct it.",
    )


def _start_lines(text: str) -> Iterator[int]:
    """Yield the line on which each element begins, in document order; the parser knows where its tag ends."""
    line, at = 1, 0
    for token in _BEGINNING.finditer(text):
        if token["name"]:
            line += text.count("\n", at, token.start())
            at = token.start()
            yield line


def _element(node: "etree._Element", lines: Iterator[int], *, depth: int) -> Element:
    line = next(lines, 0)
    if depth > MOST_DEPTH:
        raise Fault("too-deep", f"Elements are nested more than {MOST_DEPTH} deep.", line=line)
    return Element(
        name=_name(node.tag),
        attributes=tuple((_name(name), str(value)) for name, value in node.attrib.items()),
        children=tuple(_element(child, lines, depth=depth + 1) for child in node),
        line=line,
    )


def _line(node: "etree._Element") -> int:
    line: object = node.sourceline
    return line if isinstance(line, int) else 0


def _name(tag: object) -> str:
    """Name without .NET's own namespace; another namespace stays, in braces, so that the name is nobody's."""
    return str(tag).removeprefix(f"{{{_NET_NAMESPACE}}}")
