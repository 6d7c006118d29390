"""Texts with references: `{R:1}`, `{C:0}`, `{HTTP_HOST}`, `{Map:{R:1}}`, `{ToLower:{URL}}` (IIS reference §5.7)."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

MOST_CHARACTERS = 3000
MOST_DEPTH = 5
MOST_PARTS = 60


class TemplateError(Exception):
    """A text that cannot be used; the message says why."""


class Source(StrEnum):
    """What a back-reference refers to: the rule's pattern or its conditions."""

    RULE = "R"
    CONDITION = "C"


class Function(StrEnum):
    """The functions that a text may apply."""

    TO_LOWER = "ToLower"
    URL_ENCODE = "UrlEncode"
    URL_DECODE = "UrlDecode"


@dataclass(frozen=True, slots=True)
class Captured:
    """`{R:n}` or `{C:n}`."""

    source: Source
    number: int


@dataclass(frozen=True, slots=True)
class ServerVariable:
    """`{NAME}`, upper case; request headers are `HTTP_…`."""

    name: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """`{Map:key}`; `map` is the name of a `<rewriteMap>` in lower case."""

    map: str
    key: "Template"


@dataclass(frozen=True, slots=True)
class Applied:
    """`{ToLower:…}` and its like."""

    function: Function
    argument: "Template"


Part = str | Captured | ServerVariable | Lookup | Applied


@dataclass(frozen=True, slots=True)
class Template:
    """A text in parts; two fixed texts never follow each other and none is empty."""

    parts: tuple[Part, ...] = ()

    @property
    def fixed(self) -> str | None:
        """The whole text where nothing in it varies, else None."""
        if not self.parts:
            return ""
        only = self.parts[0]
        return only if len(self.parts) == 1 and isinstance(only, str) else None

    def within(self) -> Iterator[Part]:
        """Iterate over all parts, those inside others included."""
        for part in self.parts:
            yield part
            if isinstance(part, Lookup):
                yield from part.key.within()
            elif isinstance(part, Applied):
                yield from part.argument.within()

    def split_query(self) -> "tuple[Template, Template | None]":
        """Part at the first written `?`; the second is None where none is written."""
        for at, part in enumerate(self.parts):
            if isinstance(part, str) and "?" in part:
                before, _, after = part.partition("?")
                return _made(*self.parts[:at], before), _made(after, *self.parts[at + 1 :])
        return self, None


def _made(*parts: Part) -> Template:
    return Template(tuple(part for part in parts if part != ""))


def parse_template(text: str, *, maps: Collection[str]) -> Template:
    """Parse a text as written; `maps` are the lower-case names of the maps there are. Raises `TemplateError`."""
    if len(text) > MOST_CHARACTERS:
        raise TemplateError(f"it has {len(text)} characters; it may have {MOST_CHARACTERS}")
    if any(
        ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 or character == "\x7f" for character in text
    ):
        raise TemplateError("it holds a control character")
    parser = _Parser(text, maps)
    template = parser.parse(depth=0)
    if sum(1 for _ in template.within()) > MOST_PARTS:
        raise TemplateError(f"it has more than {MOST_PARTS} references")
    return template


class _Parser:
    def __init__(self, text: str, maps: Collection[str]) -> None:
        self._text = text
        self._maps = maps
        self._at = 0

    def parse(self, *, depth: int) -> Template:
        """Read to the end, or inside of braces to the one that closes them."""
        if depth > MOST_DEPTH:
            raise TemplateError(f"references are nested more than {MOST_DEPTH} deep")
        parts: list[Part] = []
        fixed = ""
        while self._at < len(self._text):
            character = self._text[self._at]
            if character == "}" and depth:
                break
            self._at += 1
            if character != "{":
                fixed += character
                continue
            parts += [fixed, self._reference(depth)]
            fixed = ""
        return _made(*parts, fixed)

    def _reference(self, depth: int) -> Part:
        begun = self._at
        while self._at < len(self._text) and self._text[self._at] not in ":{}":
            self._at += 1
        name = self._text[begun : self._at].strip()
        if self._text.startswith(":", self._at):
            self._at += 1
            argument = self.parse(depth=depth + 1)
            self._close(name)
            return self._with_argument(name, argument)
        self._close(name)
        if not name or not name.isascii() or not name.replace("_", "").replace("-", "").isalnum():
            raise TemplateError(f"'{{{name}}}' names no server variable")
        return ServerVariable(name.upper().replace("-", "_"))

    def _close(self, name: str) -> None:
        if not self._text.startswith("}", self._at):
            raise TemplateError(f"a '}}' is missing behind '{{{name}'")
        self._at += 1

    def _with_argument(self, name: str, argument: Template) -> Part:
        if name.upper() in {"R", "C"}:
            digit = argument.fixed
            if digit is None or len(digit) != 1 or digit not in "0123456789":
                raise TemplateError(f"'{{{name}:…}}' needs a digit from 0 to 9")
            return Captured(Source(name.upper()), int(digit))
        for function in Function:
            if name.lower() == function.value.lower():
                return Applied(function, argument)
        if name.lower() not in self._maps:
            raise TemplateError(f"there is no rewriteMap '{name}' here")
        return Lookup(name.lower(), argument)
