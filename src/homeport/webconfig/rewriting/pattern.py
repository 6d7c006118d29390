r"""Patterns of URL Rewrite, as regular expressions that nginx's PCRE and Python's `re` read alike.

IIS matches ECMAScript expressions. Both engines here differ from that, and from each other, in details: `$` and a
trailing newline, `\d` and `\s`, references to groups that took no part, inline options. So a pattern is parsed and
written anew with the constructs that mean the same everywhere. Matching is by bytes: text beyond ASCII stands for its
UTF-8 form, and letter case is ignored for ASCII letters alone.

A tenant writes patterns and nginx matches for all sites: the size of a pattern and the freedom of its counted
repetitions are bounded here, and what is left is bounded when it runs (`node/nginx/rewriting.py`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

MOST_CHARACTERS = 1000
"""Of a pattern as written."""
MOST_WRITTEN = 2000
"""Characters of the expression made from it, without the names of groups: nginx reads 4096 bytes at once."""
MOST_EXPANDED = 4000
"""Characters of a pattern with its counted repetitions written out."""
MOST_FREEDOM = 4096
"""Ways in which the counted repetitions of one pattern can share a text; the engines do not count these."""
MOST_NESTING = 20

_DIGITS = frozenset(b"0123456789")
_WORD = _DIGITS | frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_SPACE = frozenset(b"\t\n\v\f\r ")
_EVERY = frozenset(range(256))
_CLASSES = {
    "d": _DIGITS,
    "D": _EVERY - _DIGITS,
    "w": _WORD,
    "W": _EVERY - _WORD,
    "s": _SPACE,
    "S": _EVERY - _SPACE,
}
_CONTROLS = {"t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "0": "\0"}
_COUNTED = re.compile(r"\{(\d{1,5})(?:(,)(\d{1,5})?)?\}")
_ONE = re.compile(r"\[[^\]]*\]|\\x[0-9A-F]{2}|[^\\(]")
_HEXADECIMAL = {"x": re.compile(r"[0-9A-Fa-f]{2}"), "u": re.compile(r"[0-9A-Fa-f]{4}")}


class Syntax(StrEnum):
    """`patternSyntax` of a rule (IIS reference §5.7)."""

    ECMASCRIPT = "ECMAScript"
    WILDCARD = "Wildcard"
    EXACT_MATCH = "ExactMatch"


class PatternError(Exception):
    """A pattern that cannot be used; the message says why and where."""


@dataclass(frozen=True, slots=True)
class Group:
    """Where a capturing group begins; number 0 is the whole match."""

    number: int


@dataclass(frozen=True, slots=True)
class End:
    """The end of the text, which the two engines write differently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A pattern ready to be written for an engine.

    `groups` counts its capturing groups without the whole match. `freedom` is at most `MOST_FREEDOM`.
    """

    pieces: tuple[str | Group | End, ...]
    groups: int = 0
    ignore_case: bool = True
    freedom: int = 1

    def expression(self, *, end: str, names: Mapping[int, str]) -> str:
        """Write the expression; `end` is how the engine says "end of text", `names` are for groups that need one."""
        written: list[str] = []
        for piece in self.pieces:
            match piece:
                case Group(number=number):
                    written.append(f"(?P<{names[number]}>" if number in names else "(")
                case End():
                    written.append(end)
                case str():
                    written.append(piece)
        return "".join(written)

    def compiled(self) -> "re.Pattern[bytes]":
        """Compile for Python, where group n + 1 is the pattern's group n."""
        options = re.IGNORECASE if self.ignore_case else 0
        return re.compile(self.expression(end=r"\Z", names={}).encode("ascii"), options)


def parse_pattern(text: str, *, syntax: Syntax, ignore_case: bool = True) -> Pattern:
    """Parse a pattern as written. Raises `PatternError`."""
    if len(text) > MOST_CHARACTERS:
        raise PatternError(f"it has {len(text)} characters; it may have {MOST_CHARACTERS}")
    if any(0xD800 <= ord(character) < 0xE000 for character in text):
        raise PatternError("it is no valid Unicode text")
    parser = _Parser(text)
    match syntax:
        case Syntax.ECMASCRIPT:
            parser.parse()
        case Syntax.WILDCARD:
            parser.wildcard()
        case Syntax.EXACT_MATCH:
            parser.exact()
    if parser.freedom > MOST_FREEDOM:
        raise PatternError("its counted repetitions ({n,m}) can share a text in too many ways; use * or +")
    if sum(len(piece) for piece in parser.pieces if isinstance(piece, str)) > MOST_WRITTEN:
        raise PatternError("it is too long when it is written out")
    return Pattern(
        pieces=(Group(0), *parser.pieces, ")"),
        groups=parser.groups,
        ignore_case=ignore_case,
        freedom=parser.freedom,
    )


class _Parser:
    """Reads the text once, from left to right, and writes the pieces of the result."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._closed: set[int] = set()
        self.pieces: list[str | Group | End] = []
        self.groups = 0
        self.freedom = 1

    def wildcard(self) -> None:
        r"""`*` captures any text, `?` is one character that is not captured (IIS reference §5.7)."""
        self.pieces.append(r"\A")
        for character in self._text:
            if character == "*":
                self.groups += 1
                self.pieces += [Group(self.groups), r"[\x00-\xFF]*)"]
            else:
                self.pieces.append(r"[\x00-\xFF]" if character == "?" else _literal(character))
        self.pieces.append(End())

    def exact(self) -> None:
        self.pieces += [r"\A", *(_literal(character) for character in self._text), End()]

    def parse(self) -> None:
        size = self._alternatives()
        if self._at < len(self._text):
            self._fail("this ')' closes nothing")
        if size > MOST_EXPANDED:
            raise PatternError(f"written out it has {size} characters; it may have {MOST_EXPANDED}")

    def _fail(self, reason: str) -> NoReturn:
        raise PatternError(f"{reason} (character {self._at + 1})")

    def _peek(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _take(self, text: str) -> bool:
        found = self._peek(text)
        self._at += len(text) * found
        return found

    def _next(self) -> str:
        if self._at >= len(self._text):
            self._fail("it ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _alternatives(self) -> int:
        size = self._sequence()
        while self._take("|"):
            self.pieces.append("|")
            size += self._sequence()
        return size

    def _sequence(self) -> int:
        size = 0
        while self._at < len(self._text) and not self._peek("|") and not self._peek(")"):
            size += self._term()
        return size

    def _term(self) -> int:
        """One atom with its quantifier; returns its size written out."""
        start, begun = self._at, len(self.pieces)
        size, repeatable = self._atom()
        repeats = self._quantifier()
        if repeats is None:
            return size
        written, factor = repeats
        if not repeatable:
            self._at = start
            self._fail("there is nothing here that could repeat")
        if self._is_one(begun):
            self.pieces.append(written)
        else:
            self.pieces.insert(begun, "(?:")
            self.pieces.append(f"){written}")
        return size * factor

    def _is_one(self, begun: int) -> bool:
        """Whether what was written since is one thing to the engines; brackets around it would cost time and stack."""
        first = self.pieces[begun]
        if isinstance(first, Group) or first == "(?:":
            return True
        return len(self.pieces) == begun + 1 and isinstance(first, str) and bool(_ONE.fullmatch(first))

    def _quantifier(self) -> tuple[str, int] | None:
        least, most = 0, None
        counted = _COUNTED.match(self._text, self._at)
        if self._take("*"):
            written = "*"
        elif self._take("+"):
            written, least = "+", 1
        elif self._take("?"):
            written, most = "?", 1
        elif counted:
            self._at = counted.end()
            least = int(counted[1])
            most = int(counted[3]) if counted[3] else (None if counted[2] else least)
            if most is not None and most < least:
                self._fail(f"{counted[0]} asks for at most {most} and at least {least}")
            written = f"{{{least},{'' if most is None else most}}}"
        else:
            return None
        if most is not None and most - least > 1:
            self.freedom = min(self.freedom * (most - least + 1), MOST_FREEDOM + 1)
        lazy = "?" if self._take("?") else ""
        return written + lazy, max(least, most or 1)

    def _atom(self) -> tuple[int, bool]:
        """Write one atom; returns its size and whether it may be repeated."""
        character = self._next()
        match character:
            case "^":
                self.pieces.append(r"\A")
                return 1, False
            case "$":
                self.pieces.append(End())
                return 1, False
            case ".":
                self.pieces.append(r"[^\n\r]")
                return 1, True
            case "(":
                return self._group(), True
            case "[":
                self.pieces.append(self._class())
                return 1, True
            case "\\":
                return self._escape()
            case _:
                if character in "*+?" or _COUNTED.match(self._text, self._at - 1):
                    self._at -= 1
                    self._fail("there is nothing here that could repeat")
                self.pieces.append(_literal(character))
                return 1, True

    def _group(self) -> int:
        self._depth += 1
        if self._depth > MOST_NESTING:
            self._fail(f"groups are nested more than {MOST_NESTING} deep")
        number = 0
        if self._take("?:"):
            self.pieces.append("(?:")
        elif self._take("?="):
            self.pieces.append("(?=")
        elif self._take("?!"):
            self.pieces.append("(?!")
        elif self._peek("?"):
            self._fail("ECMAScript has no such group; (?:…), (?=…) and (?!…) are known")
        else:
            self.groups += 1
            number = self.groups
            self.pieces.append(Group(number))
        size = self._alternatives()
        if not self._take(")"):
            self._fail("a ')' is missing")
        self.pieces.append(")")
        self._closed.add(number)
        self._depth -= 1
        return size + 1

    def _escape(self) -> tuple[int, bool]:
        character = self._next()
        if character in "bB":
            # Word characters as ECMAScript has them; neither engine's \b depends on a locale for bytes.
            self.pieces.append(f"\\{character}")
            return 1, False
        if character in _CLASSES:
            self.pieces.append(_byte_class(_CLASSES[character]))
        elif character in "123456789":
            self._reference(character)
        else:
            self.pieces.append(_literal(self._escaped(character)))
        return 1, True

    def _reference(self, digits: str) -> None:
        """A group that is not complete yet has matched nothing, and so does a reference to it."""
        while self._at < len(self._text) and self._text[self._at] in "0123456789" and len(digits) < 2:
            digits += self._next()
        number = int(digits)
        if number > self._text.count("("):
            self._fail(f"there is no group {number}")
        if number in self._closed:
            self.pieces.append(rf"(?({number + 1})\{number + 1}|)")
        else:
            self.pieces.append("(?:)")

    def _escaped(self, character: str) -> str:
        """The character that an escape stands for."""
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character == "c" and self._at < len(self._text) and self._text[self._at].isascii():
            letter = self._next()
            if letter.isalpha():
                return chr(ord(letter) % 32)
            self._fail(r"\c needs a letter")
        if character in _HEXADECIMAL:
            digits = _HEXADECIMAL[character].match(self._text, self._at)
            if digits:
                self._at = digits.end()
                code = int(digits[0], 16)
                if 0xD800 <= code < 0xE000:
                    self._fail("it is half of a character")
                return chr(code)
        return character

    def _class(self) -> str:
        negated = self._take("^")
        members: set[int] = set()
        beyond: list[str] = []
        while not self._take("]"):
            first = self._member()
            if self._peek("-") and not self._peek("-]"):
                self._next()
                last = self._member()
                self._range(members, first, last)
            elif isinstance(first, frozenset):
                members |= first
            elif first.isascii():
                members.add(ord(first))
            else:
                beyond.append(first)
        if negated and beyond:
            self._fail("a class that excludes characters beyond ASCII is not supported")
        written = _byte_class(_EVERY - members if negated else frozenset(members))
        return f"(?:{'|'.join([written, *map(_literal, beyond)])})" if beyond else written

    def _member(self) -> str | frozenset[int]:
        character = self._next()
        if character != "\\":
            return character
        escaped = self._next()
        if escaped in _CLASSES:
            return _CLASSES[escaped]
        return "\b" if escaped == "b" else self._escaped(escaped)

    def _range(self, members: set[int], first: str | frozenset[int], last: str | frozenset[int]) -> None:
        if isinstance(first, frozenset) or isinstance(last, frozenset):
            # As in browsers: a class cannot bound a range, so the hyphen is one of the members.
            for side in (first, last):
                members |= side if isinstance(side, frozenset) else {*side.encode()}
            members.add(ord("-"))
        elif not (first.isascii() and last.isascii()):
            self._fail("ranges of characters beyond ASCII are not supported")
        elif first > last:
            self._fail(f"the range {first}-{last} goes backwards")
        else:
            members |= set(range(ord(first), ord(last) + 1))


def _literal(character: str) -> str:
    if character.isascii() and (character.isalnum() or character in "/_-~:;=@!%&',\"<>"):
        return character
    written = "".join(rf"\x{byte:02X}" for byte in character.encode())
    return written if character.isascii() else f"(?:{written})"


def _byte_class(members: frozenset[int]) -> str:
    """Write a set of bytes; an empty one matches nothing."""
    if not members:
        return r"(?!)"
    written: list[str] = []
    ordered = sorted(members)
    first = previous = ordered[0]
    for byte in [*ordered[1:], -1]:
        if byte == previous + 1:
            previous = byte
            continue
        written.append(_byte(first) if first == previous else f"{_byte(first)}-{_byte(previous)}")
        first = previous = byte
    return f"[{''.join(written)}]"


def _byte(byte: int) -> str:
    character = chr(byte)
    return character if character.isascii() and character.isalnum() else rf"\x{byte:02X}"
