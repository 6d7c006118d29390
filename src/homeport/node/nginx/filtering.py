r"""From `<requestFiltering>` to patterns over one line: method, blank, query, blank, decoded path.

Neither method nor query can hold a blank, so `\A[^ ]* [^ ]* ` is where the path begins. Each pattern gives the
sub-status of its refusal (IIS reference §5.8). No pattern can be slow: what repeats is a class or ends at the first
fit.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby

from homeport.node.nginx.error_handling import ErrorHandling
from homeport.node.nginx.writer import Entry, If, Node, Plain, Variable
from homeport.webconfig.sections.request_filtering import FilteringRule, Listing, RequestFiltering

_QUERY = r"\A[^ ]* "
_PATH = r"\A[^ ]* [^ ]* "
_LONGEST_ALTERNATIVES = 1200
"""Bytes of alternatives in one pattern: nginx reads tokens of 4096 bytes, and quoting may double them."""
_MOST_REPEATS = 65_534
"""PCRE's own bound."""
_USUAL_EXTENSION = re.compile(r"\.[A-Za-z0-9_-]+")
_LONGEST_USUAL = 3000
"""Bytes of the pattern for usual addresses, so that quoting keeps it below nginx's 4096."""


@lru_cache(maxsize=64)
def filter_entries(filtering: RequestFiltering) -> tuple[Entry, ...]:
    """Give the entries of the map from that line to a sub-status; the first that fits counts.

    Nearly all folders of all sites have the same settings.
    """
    entries = [
        ("14", [rf"~{_PATH}(?s:.{{{filtering.max_url + 1}}})"]),
        ("15", [rf"~{_QUERY}[^ ]{{{filtering.max_query_string + 1}}}"]),
        ("6", _verbs(filtering.verbs)),
        ("11", [] if filtering.allow_double_escaping else [rf"~*{_PATH}(?s:.*?)(?:\+|%[0-9a-f]{{2}})"]),
        ("12", [] if filtering.allow_high_bit_characters else [rf"~{_PATH}(?s:.*?)[\x80-\xff]"]),
        ("5", _url_sequences(filtering)),
        ("18", _query_sequences(filtering)),
        ("8", _segments(filtering.hidden_segments)),
        ("7", _extensions(filtering.file_extensions)),
        ("19", [pattern for rule in filtering.rules for pattern in _rule(rule)]),
    ]
    refusals = [Entry(Plain(pattern), (status,)) for status, patterns in entries for pattern in patterns]
    usual = usual_addresses(filtering) if refusals else None
    return (*([Entry(Plain(usual), ("",))] if usual else []), *refusals)


def usual_addresses(filtering: RequestFiltering) -> str | None:
    """Give one pattern for addresses that no entry refuses: most requests then need no other one.

    Their segments are of letters, digits, `_`, `-` and dots. None where the settings refuse more than hidden
    segments, extensions, lengths and what is encoded twice.
    """
    if not _looks_at_usual_things(filtering):
        return None
    denied = _not_followed_by([each[1:] for each in filtering.file_extensions.denied], r"\z")
    pattern = (
        rf"~*{_QUERY}{_usual_query(filtering)} "
        rf"(?=.{{0,{min(filtering.max_url, _MOST_REPEATS)}}}\z)"
        rf"(?:/{_not_hidden(filtering)}[a-z0-9_-]*+(?:\.{denied}[a-z0-9_-]++)*+)++\z"
    )
    return pattern if len(pattern) <= _LONGEST_USUAL else None


@lru_cache(maxsize=64)
def usual_files(filtering: RequestFiltering, extensions: tuple[str, ...]) -> str | None:
    """Give one pattern for GET and HEAD of usual addresses that end with one of the extensions (`.css`).

    Nothing refuses such a request where only files are served, so one look at it is enough. None as for
    `usual_addresses`, and where no extension is left.
    """
    denied = set(filtering.file_extensions.denied)
    names = sorted(
        {each[1:].lower() for each in extensions if _USUAL_EXTENSION.fullmatch(each)}
        - {each[1:] for each in denied}
    )
    longest_rest = filtering.max_url - max(map(len, names), default=0) - 1
    if not names or longest_rest < 0 or not _looks_at_usual_things(filtering):
        return None
    # By first letter: the alternatives are tried one by one.
    grouped = [
        f"{first}(?:{'|'.join(name[1:] for name in group)})"
        for first, group in groupby(names, key=lambda name: name[0])
    ]
    pattern = (
        rf"~*\A(?-i:GET|HEAD) {_usual_query(filtering)} "
        rf"(?=.{{0,{min(longest_rest, _MOST_REPEATS)}}}\.(?:{'|'.join(grouped)})\z)"
        rf"(?:/{_not_hidden(filtering)}[a-z0-9_-]*+(?:\.[a-z0-9_-]++)*+)++\z"
    )
    return pattern if len(pattern) <= _LONGEST_USUAL else None


def _looks_at_usual_things(filtering: RequestFiltering) -> bool:
    """Tell whether nothing but hidden segments, extensions, lengths and what is encoded twice is refused."""
    extensions = filtering.file_extensions
    return (
        filtering.verbs == RequestFiltering().verbs
        and not filtering.rules
        and not filtering.deny_url_sequences
        and not filtering.deny_query_string_sequences
        and extensions.allow_unlisted
        and all(re.fullmatch(r"\.[^./]+", each) for each in extensions.denied)
    )


def _usual_query(filtering: RequestFiltering) -> str:
    return f"[^ ]{{0,{min(filtering.max_query_string, _MOST_REPEATS)}}}"


def _not_hidden(filtering: RequestFiltering) -> str:
    return _not_followed_by(filtering.hidden_segments, r"(?:/|\z)")


def _not_followed_by(texts: Sequence[str], end: str) -> str:
    return f"(?!(?:{'|'.join(map(re.escape, texts))}){end})" if texts else ""


def header_filters(filtering: RequestFiltering, errors: ErrorHandling) -> list[Node]:
    """Give what refuses a request for a header that is too long (404.10) or holds a denied string (404.19)."""
    too_long, denied = errors.refusal("404", sub_status="10"), errors.refusal("404", sub_status="19")
    nodes: list[Node] = [
        _if_header(name, rf"\A.{{{min(limit, _MOST_REPEATS) + 1}}}", too_long)
        for name, limit in filtering.header_limits
    ]
    for rule in filtering.rules:
        for header in rule.scan_headers:
            patterns = alternatives(map(re.escape, rule.deny_strings))
            nodes += [_if_header(header, pattern, denied) for pattern in patterns]
    return nodes


def alternatives(expressions: Iterable[str], *, before: str = "", after: str = "") -> list[str]:
    """Join expressions to patterns that any of them fits, each short enough to be written."""
    patterns: list[str] = []
    group: list[str] = []
    size = 0
    for expression in expressions:
        length = len(expression.encode()) + expression.count("\\") + expression.count('"')
        if group and size + length > _LONGEST_ALTERNATIVES:
            patterns.append(f"{before}(?:{'|'.join(group)}){after}")
            group, size = [], 0
        group.append(expression)
        size += length + 1
    return [*patterns, f"{before}(?:{'|'.join(group)}){after}"] if group else patterns


def _if_header(name: str, pattern: str, refusal: tuple[Node, ...]) -> Node:
    variable = Variable(f"http_{name.lower().replace('-', '_')}")
    return If(variable, refusal, operator="~*", operand=Plain(pattern))


def _verbs(verbs: Listing) -> list[str]:
    if verbs.allow_unlisted:
        return alternatives(map(re.escape, verbs.denied), before=r"~\A", after=" ")
    # Every piece of the list must be looked at before a verb is known to be in none of them.
    known = alternatives(map(re.escape, verbs.allowed), before="(?!", after=" )")
    return [rf"~\A{''.join(known)}"]


def _extensions(extensions: Listing) -> list[str]:
    if extensions.allow_unlisted:
        return alternatives(map(_ending, extensions.denied), before=rf"~*{_PATH}(?s:.*?)", after=r"\z")
    known = alternatives(map(_ending, extensions.allowed), before="(?!(?s:.*?)", after=r"\z)")
    return [rf"~*{_PATH}{''.join(known)}"]


def _ending(extension: str) -> str:
    return r"/[^./]*" if extension == "." else re.escape(extension)


def _segments(segments: Sequence[str]) -> list[str]:
    return alternatives(map(re.escape, segments), before=rf"~*{_PATH}(?s:.*?)[/\\]", after=r"(?:[/\\]|\z)")


def _url_sequences(filtering: RequestFiltering) -> list[str]:
    allowed = "".join(
        alternatives(
            (re.escape(_rooted(url)) for url in filtering.always_allowed_urls), before="(?!", after=r"\z)"
        )
    )
    return alternatives(map(re.escape, filtering.deny_url_sequences), before=rf"~*{_PATH}{allowed}(?s:.*?)")


def _rooted(url: str) -> str:
    return f"/{url.lstrip('/')}"


def _query_sequences(filtering: RequestFiltering) -> list[str]:
    allowed = "".join(
        alternatives(map(re.escape, filtering.always_allowed_query_strings), before="(?!", after=" )")
    )
    sequences = [
        percent_encoded(sequence) if filtering.unescape_query_string else re.escape(sequence)
        for sequence in filtering.deny_query_string_sequences
    ]
    return alternatives(sequences, before=rf"~*{_QUERY}{allowed}[^ ]*?")


def percent_encoded(text: str) -> str:
    """Give the expression for a text that may be percent-encoded in an address, letters in either case."""
    return "".join(map(_percent_encoded, text))


def _percent_encoded(character: str) -> str:
    if character.isascii() and character.isalpha():
        lower, upper = f"{ord(character.lower()):x}", f"{ord(character.upper()):x}"
        return f"(?:{character}|%[{upper[0]}{lower[0]}]{lower[1]})"
    encoded = "".join(f"%{byte:02x}" for byte in character.encode())
    return f"(?:{r'[+]' if character == ' ' else re.escape(character)}|{encoded})"


def _rule(rule: FilteringRule) -> list[str]:
    strings = [re.escape(string) for string in rule.deny_strings]
    patterns: list[str] = []
    for ending in alternatives(map(_ending, rule.applies_to), before="(?=(?s:.*?)", after=r"\z)") or [""]:
        if rule.scan_url:
            patterns += alternatives(strings, before=rf"~*{_PATH}{ending}(?s:.*?)")
        if rule.scan_query_string:
            path = f"(?=[^ ]* {ending})" if ending else ""
            queries = map(percent_encoded, rule.deny_strings)
            patterns += alternatives(queries, before=rf"~*{_QUERY}{path}[^ ]*?")
    return patterns
