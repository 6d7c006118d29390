"""An XML document that can be changed and written out again with everything else left as it was typed.

`render(parse(text)) == text` for every text that is accepted: quotes, line breaks between attributes, comments, entity
references and blanks stay. Each element and attribute knows its line and column.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Union
from xml.sax.saxutils import escape

XMLNS = "http://www.w3.org/2000/xmlns/"
_XML = "http://www.w3.org/XML/1998/namespace"
_TOKEN = re.compile(
    r"<!--(?P<comment>.*?)-->|<!\[CDATA\[(?P<cdata>.*?)\]\]>|<\?(?P<instruction>.*?)\?>"
    r"|</(?P<closing>[^\s>]+)\s*>|<(?P<opening>[^\s/>]+)|(?P<text>[^<]+)",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"""(?P<before>\s+)(?P<name>[^\s=>/]+)\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)')"""
)
_TAG_END = re.compile(r"(?P<before>\s*)(?P<slash>/?)>")
_REFERENCE = re.compile(r"&(?:#(?P<decimal>\d+)|#x(?P<hexadecimal>[0-9A-Fa-f]+)|(?P<name>\w+));")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_LINE_BREAK = re.compile(r"\r\n?")

Parent = Union["Element", "Document"]
Child = Union["Element", "Text", "Comment", "Instruction"]
Node = Union["Document", "Element", "Attribute", "Text", "Comment", "Instruction"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where something was written; both count from 1, 0 is unknown."""

    line: int = 0
    column: int = 0


@dataclass(slots=True, eq=False, kw_only=True)
class Attribute:
    """An attribute; `before` is the space in front of its name, `quoted` its value with quotes as typed."""

    name: str
    namespace: str
    value: str
    before: str = " "
    raw: str = ""
    parent: "Element | None" = None
    position: Position = Position()

    @property
    def local(self) -> str:
        """The name without its prefix."""
        return self.name.rpartition(":")[2]

    def set(self, value: str) -> None:
        """Give it another value; the quotes stay what they were."""
        quote = self.raw[-1:] or '"'
        name = self.raw.partition("=")[0] if self.raw else self.name
        text = escape(
            value, {quote: "&quot;" if quote == '"' else "&apos;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
        )
        self.value = value
        self.raw = f"{name}={quote}{text}{quote}"

    def render(self) -> str:
        """Return it as it is written, with the space in front."""
        if not self.raw:
            self.set(self.value)
        return self.before + self.raw


@dataclass(slots=True, eq=False, kw_only=True)
class Text:
    """Character data as typed: references, and CDATA sections with their brackets."""

    raw: str
    value: str
    parent: "Parent | None" = None

    @property
    def blank(self) -> bool:
        """Whether it is nothing but space between elements."""
        return not self.raw.strip()

    def render(self) -> str:
        """Return it as typed."""
        return self.raw


@dataclass(slots=True, eq=False, kw_only=True)
class Comment:
    """A comment, without its marks."""

    value: str
    parent: "Parent | None" = None

    def render(self) -> str:
        """Return it as it is written."""
        return f"<!--{self.value}-->"


@dataclass(slots=True, eq=False, kw_only=True)
class Instruction:
    """A processing instruction or the XML declaration, without its marks."""

    value: str
    parent: "Parent | None" = None

    def render(self) -> str:
        """Return it as it is written."""
        return f"<?{self.value}?>"


@dataclass(slots=True, eq=False, kw_only=True)
class Element:
    """An element; `end` is the space before the end of its tag, `hollow` tells whether it was typed as `<x/>`."""

    name: str
    namespace: str
    attributes: list[Attribute] = field(default_factory=list)
    children: list[Child] = field(default_factory=list)
    end: str = ""
    hollow: bool = True
    closing: str = ""
    parent: "Parent | None" = None
    position: Position = Position()
    scope: dict[str, str] = field(default_factory=dict)

    @property
    def local(self) -> str:
        """The name without its prefix."""
        return self.name.rpartition(":")[2]

    @property
    def prefix(self) -> str:
        """The prefix of the name, empty without one."""
        return self.name.rpartition(":")[0]

    def get(self, name: str, namespace: str = "") -> Attribute | None:
        """Return an attribute by its local name and namespace."""
        for attribute in self.attributes:
            if attribute.local == name and attribute.namespace == namespace:
                return attribute
        return None

    @property
    def elements(self) -> "Iterator[Element]":
        """The children that are elements."""
        return (child for child in self.children if isinstance(child, Element))

    def render(self) -> str:
        """Return it with everything inside."""
        parts: list[str] = []
        _render(self, parts)
        return "".join(parts)


@dataclass(slots=True, eq=False, kw_only=True)
class Document:
    """A whole document: its element and what stands before and after it."""

    children: list[Child] = field(default_factory=list)

    @property
    def root(self) -> "Element | None":
        """The document's element."""
        return next((child for child in self.children if isinstance(child, Element)), None)

    def render(self) -> str:
        """Return the whole text."""
        parts: list[str] = []
        for child in self.children:
            _render(child, parts)
        return "".join(parts)


def parse_tree(text: str) -> Document:
    """Parse a text that is known to be well-formed XML without a document type."""
    document = Document()
    here: Parent = document
    scope = {"": "", "xml": _XML}
    lines = _Lines(text)
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError(f"no XML at character {at}")
        at = token.end()
        if token["opening"]:
            element, at, closed = _element(text, token, scope, lines)
            _append(here, element)
            if not closed:
                here, scope = element, element.scope
        elif token["closing"]:
            assert isinstance(here, Element)
            here.closing = token[0]
            assert here.parent is not None
            here = here.parent
            scope = here.scope if isinstance(here, Element) else {"": "", "xml": _XML}
        else:
            _append(here, _other(token))
    return document


class _Lines:
    """Positions of a text; asked for in ascending order, so each line is counted once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1

    def position(self, at: int) -> Position:
        self._line += self._text.count("\n", self._at, at)
        self._at = at
        return Position(line=self._line, column=at - self._text.rfind("\n", 0, at))


def _append(parent: Parent, child: Child) -> None:
    child.parent = parent
    parent.children.append(child)


def _other(token: "re.Match[str]") -> Child:
    if token["comment"] is not None:
        return Comment(value=token["comment"])
    if token["instruction"] is not None:
        return Instruction(value=token["instruction"])
    if token["cdata"] is not None:
        return Text(raw=token[0], value=_LINE_BREAK.sub("\n", token["cdata"]))
    return Text(raw=token[0], value=_unescape(_LINE_BREAK.sub("\n", token[0])))


def _element(
    text: str, token: "re.Match[str]", scope: dict[str, str], lines: _Lines
) -> tuple[Element, int, bool]:
    position = lines.position(token.start())
    found: list[tuple[str, str, str, str, Position]] = []
    at = token.end()
    while (match := _ATTRIBUTE.match(text, at)) is not None:
        name_at = match.end("before")
        written = match["double"] if match["double"] is not None else match["single"]
        value = _unescape(re.sub(r"\r\n|[\r\n\t]", " ", written))
        found.append(
            (match["before"], match["name"], text[name_at : match.end()], value, lines.position(name_at))
        )
        at = match.end()
    end = _TAG_END.match(text, at)
    if end is None:
        raise ValueError(f"no end of a tag at character {at}")
    declared = {
        name.partition(":")[2]: value
        for _, name, _, value, _ in found
        if name == "xmlns" or name.startswith("xmlns:")
    }
    inner = scope | declared if declared else scope
    element = Element(
        name=token["opening"],
        namespace=inner.get(token["opening"].rpartition(":")[0], ""),
        end=end["before"],
        hollow=bool(end["slash"]),
        position=position,
        scope=inner,
    )
    for before, name, raw, value, place in found:
        prefix = name.rpartition(":")[0]
        namespace = XMLNS if name == "xmlns" or prefix == "xmlns" else inner.get(prefix, "") if prefix else ""
        element.attributes.append(
            Attribute(
                name=name,
                namespace=namespace,
                value=value,
                before=before,
                raw=raw,
                parent=element,
                position=place,
            )
        )
    return element, end.end(), bool(end["slash"])


def _unescape(text: str) -> str:
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(match: "re.Match[str]") -> str:
    if match["decimal"]:
        return chr(int(match["decimal"]))
    if match["hexadecimal"]:
        return chr(int(match["hexadecimal"], 16))
    return _NAMED.get(match["name"], match[0])


def _render(node: Child, parts: list[str]) -> None:
    if not isinstance(node, Element):
        parts.append(node.render())
        return
    parts.append(f"<{node.name}")
    parts += [attribute.render() for attribute in node.attributes]
    if node.hollow and not node.children:
        parts.append(f"{node.end}/>")
        return
    parts.append(f"{node.end if not node.hollow else ''}>")
    for child in node.children:
        _render(child, parts)
    parts.append(node.closing or f"</{node.name}>")
