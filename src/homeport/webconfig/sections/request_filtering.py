"""`<security><requestFiltering>`: what is refused before anything looks at it (IIS reference §5.8)."""

import re
from dataclasses import dataclass, replace

from homeport.model.finding import Finding, Severity
from homeport.webconfig.document import Element
from homeport.webconfig.merging import merged
from homeport.webconfig.reading import Fault, Range, boolean, count_entries, number, required_text
from homeport.webconfig.schema import AttributeRow, ElementRow, Support, full

HIDDEN_SEGMENTS = (
    "app_browsers",
    "app_code",
    "app_data",
    "app_globalresources",
    "app_localresources",
    "app_webreferences",
    "bin",
    "web.config",
)
"""404.8: whole segments of the path, at any depth, without case."""

DENIED_EXTENSIONS = (
    ".ad",
    ".adprototype",
    ".asa",
    ".asax",
    ".ascx",
    ".browser",
    ".cd",
    ".compiled",
    ".config",
    ".cs",
    ".csproj",
    ".dd",
    ".dsdgm",
    ".dsprototype",
    ".exclude",
    ".java",
    ".jsl",
    ".ldb",
    ".ldd",
    ".lddprototype",
    ".ldf",
    ".licx",
    ".lsad",
    ".lsaprototype",
    ".master",
    ".mdb",
    ".mdf",
    ".msgx",
    ".refresh",
    ".resources",
    ".resx",
    ".rules",
    ".sd",
    ".sdm",
    ".sdmdocument",
    ".sitemap",
    ".skin",
    ".ssdgm",
    ".ssmap",
    ".vb",
    ".vbproj",
    ".vjsproj",
    ".vsdisco",
    ".webinfo",
)
"""404.7: extensions of the URL, even where an application would answer it."""

_UINT = Range(least=0, most=4_294_967_295)
_LONGEST_ADDRESS = 16_384
"""Bytes of a request line that the server reads at all; longer ones are answered 414."""
_LONGEST_NAME = 150
"""Bytes of a segment, sequence, extension or string: percent-encoded in a pattern each takes twelve."""
_LONGEST_EXCEPTIONS = 500
"""Bytes of all names that are allowed: they stand in one pattern together."""
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,60}")


def _collection(name: str, key: str, *more: str) -> ElementRow:
    return ElementRow(
        name=name,
        children=(
            ElementRow(name="add", attributes=full(key, *more)),
            ElementRow(name="remove", attributes=full(key)),
            ElementRow(name="clear"),
        ),
    )


def _listing(name: str, key: str, *, note: str = "") -> ElementRow:
    row = _collection(name, key, "allowed")
    web_dav = AttributeRow(name="applyToWebDAV", support=Support.IRRELEVANT)
    return replace(row, attributes=(*full("allowUnlisted"), web_dav), note=note)


TABLE = ElementRow(
    name="requestFiltering",
    attributes=(
        *full("allowDoubleEscaping", "allowHighBitCharacters", "unescapeQueryString"),
        AttributeRow(
            name="removeServerHeader",
            support=Support.ABSENT,
            note="The Server header names nginx without its version.",
        ),
    ),
    children=(
        _listing("fileExtensions", "fileExtension"),
        ElementRow(
            name="requestLimits",
            attributes=(
                AttributeRow(
                    name="maxAllowedContentLength",
                    support=Support.PARTIAL,
                    note="The site's own limit (`request_body_bytes`) cannot be exceeded.",
                ),
                AttributeRow(
                    name="maxUrl", support=Support.PARTIAL, note="Beyond 16 KB the server itself answers 414."
                ),
                AttributeRow(
                    name="maxQueryString",
                    support=Support.PARTIAL,
                    note="Beyond 16 KB the server itself answers 414.",
                ),
            ),
            children=(_collection("headerLimits", "header", "sizeLimit"),),
        ),
        _listing("verbs", "verb", note="TRACE and CONNECT are refused always (405)."),
        replace(
            _collection("hiddenSegments", "segment"),
            attributes=(AttributeRow(name="applyToWebDAV", support=Support.IRRELEVANT),),
        ),
        _collection("denyUrlSequences", "sequence"),
        _collection("alwaysAllowedUrls", "url"),
        _collection("denyQueryStringSequences", "sequence"),
        _collection("alwaysAllowedQueryStrings", "queryString"),
        ElementRow(
            name="filteringRules",
            children=(
                ElementRow(
                    name="filteringRule",
                    attributes=(
                        *full("name", "scanUrl", "scanQueryString"),
                        AttributeRow(
                            name="scanAllRaw", support=Support.PARTIAL, note="The decoded path is scanned."
                        ),
                        AttributeRow(name="denyUnescapedPercent", support=Support.ABSENT),
                    ),
                    children=(
                        ElementRow(
                            name="scanHeaders",
                            support=Support.PARTIAL,
                            note="With <appliesTo> beside it, headers of requests for every extension are scanned.",
                            children=_collection("scanHeaders", "requestHeader").children,
                        ),
                        _collection("appliesTo", "fileExtension"),
                        _collection("denyStrings", "string"),
                    ),
                ),
                ElementRow(name="remove", attributes=full("name")),
                ElementRow(name="clear"),
            ),
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Names with whether they are allowed, and what holds for all others."""

    allow_unlisted: bool = True
    entries: tuple[tuple[str, bool], ...] = ()

    @property
    def allowed(self) -> tuple[str, ...]:
        """Give the names that are allowed."""
        return tuple(name for name, allowed in self.entries if allowed)

    @property
    def denied(self) -> tuple[str, ...]:
        """Give the names that are not allowed."""
        return tuple(name for name, allowed in self.entries if not allowed)


_EVERYTHING = Listing()
_EXTENSIONS = Listing(entries=tuple((name, False) for name in DENIED_EXTENSIONS))


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteringRule:
    """Requests that hold one of `deny_strings` (without case) where it is scanned are refused (404.19).

    `applies_to` are extensions with their dot, lower case; empty: every URL.
    """

    name: str
    scan_url: bool = False
    scan_query_string: bool = False
    scan_headers: tuple[str, ...] = ()
    applies_to: tuple[str, ...] = ()
    deny_strings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFiltering:
    """What a request may be like. Sizes are bytes; names of segments and extensions are lower case, verbs exact.

    `max_content_length` None: web.config says nothing, the platform's 30 000 000 hold.
    """

    allow_double_escaping: bool = False
    allow_high_bit_characters: bool = True
    unescape_query_string: bool = True
    max_content_length: int = 30_000_000
    max_url: int = 4096
    max_query_string: int = 2048
    header_limits: tuple[tuple[str, int], ...] = ()
    file_extensions: Listing = _EXTENSIONS
    verbs: Listing = _EVERYTHING
    hidden_segments: tuple[str, ...] = HIDDEN_SEGMENTS
    deny_url_sequences: tuple[str, ...] = ()
    always_allowed_urls: tuple[str, ...] = ()
    deny_query_string_sequences: tuple[str, ...] = ()
    always_allowed_query_strings: tuple[str, ...] = ()
    rules: tuple[FilteringRule, ...] = ()


def apply_request_filtering(section: Element, inherited: RequestFiltering) -> RequestFiltering:
    """Apply one section to what it inherits. Raises `Fault`."""
    result = replace(
        inherited,
        allow_double_escaping=boolean(
            section, "allowDoubleEscaping", default=inherited.allow_double_escaping
        ),
        allow_high_bit_characters=boolean(
            section, "allowHighBitCharacters", default=inherited.allow_high_bit_characters
        ),
        unescape_query_string=boolean(
            section, "unescapeQueryString", default=inherited.unescape_query_string
        ),
    )
    for part in section.children:
        result = _apply_part(part, result)
    exceptions = (
        *result.always_allowed_urls,
        *result.always_allowed_query_strings,
        *result.file_extensions.allowed,
        *result.verbs.allowed,
    )
    if sum(len(name.encode()) for name in exceptions) > _LONGEST_EXCEPTIONS:
        raise Fault(
            "too-many-entries",
            f"The allowed addresses, queries, extensions and verbs have more than {_LONGEST_EXCEPTIONS} characters.",
            line=section.line,
        )
    return result


def _text(element: Element, name: str) -> str:
    return required_text(element, name, most=_LONGEST_NAME)


def unknown_headers(section: Element, *, file: str) -> list[Finding]:
    """Name the headers that no request can have, so that their limit or rule means nothing."""
    return [
        Finding(
            severity=Severity.WARNING,
            code="webconfig.not-honoured",
            message=f"'{name}' is no name of a request header here: letters, digits and hyphens make one.",
            file=file,
            line=element.line,
        )
        for element in section.below()
        if (name := element.get("header") or element.get("requestHeader"))
        and not _HEADER_NAME.fullmatch(name)
    ]


def _apply_part(part: Element, result: RequestFiltering) -> RequestFiltering:
    match part.name:
        case "requestLimits":
            return _limits(part, result)
        case "fileExtensions":
            return replace(result, file_extensions=_listing_of(part, result.file_extensions, "fileExtension"))
        case "verbs":
            return replace(result, verbs=_listing_of(part, result.verbs, "verb"))
        case "hiddenSegments":
            return replace(result, hidden_segments=_names(part, result.hidden_segments, "segment"))
        case "denyUrlSequences":
            return replace(result, deny_url_sequences=_names(part, result.deny_url_sequences, "sequence"))
        case "alwaysAllowedUrls":
            return replace(result, always_allowed_urls=_names(part, result.always_allowed_urls, "url"))
        case "denyQueryStringSequences":
            names = _names(part, result.deny_query_string_sequences, "sequence")
            return replace(result, deny_query_string_sequences=names)
        case "alwaysAllowedQueryStrings":
            names = _names(part, result.always_allowed_query_strings, "queryString")
            return replace(result, always_allowed_query_strings=names)
        case "filteringRules":
            rules = merged(
                part,
                result.rules,
                make=_rule,
                key=lambda rule: rule.name,
                removed=lambda element: _text(element, "name"),
                add="filteringRule",
            )
            return replace(result, rules=rules)
    return result


def _limits(part: Element, result: RequestFiltering) -> RequestFiltering:
    limits = result.header_limits
    for collection in part.named("headerLimits"):
        limits = merged(
            collection,
            limits,
            make=lambda element: (
                _text(element, "header").lower(),
                number(element, "sizeLimit", default=0, within=_UINT),
            ),
            key=lambda entry: entry[0],
            removed=lambda element: _text(element, "header").lower(),
        )
    return replace(
        result,
        header_limits=tuple(entry for entry in limits if _HEADER_NAME.fullmatch(entry[0])),
        max_content_length=number(
            part, "maxAllowedContentLength", default=result.max_content_length, within=_UINT
        ),
        max_url=min(number(part, "maxUrl", default=result.max_url, within=_UINT), _LONGEST_ADDRESS),
        max_query_string=min(
            number(part, "maxQueryString", default=result.max_query_string, within=_UINT), _LONGEST_ADDRESS
        ),
    )


def _listing_of(part: Element, inherited: Listing, attribute: str) -> Listing:
    entries = merged(
        part,
        inherited.entries,
        make=lambda element: (_key(element, attribute), boolean(element, "allowed", default=True)),
        key=lambda entry: entry[0],
        removed=lambda element: _key(element, attribute),
    )
    allow_unlisted = boolean(part, "allowUnlisted", default=inherited.allow_unlisted)
    return Listing(allow_unlisted=allow_unlisted, entries=entries)


def _key(element: Element, attribute: str) -> str:
    name = _text(element, attribute)
    if attribute == "verb":
        return name
    return name.lower() if name.startswith(".") else f".{name.lower()}"


def _names(part: Element, inherited: tuple[str, ...], attribute: str) -> tuple[str, ...]:
    return merged(
        part,
        inherited,
        make=lambda element: _text(element, attribute).lower(),
        key=lambda name: name,
        removed=lambda element: _text(element, attribute).lower(),
    )


def _rule(element: Element) -> FilteringRule:
    rule = FilteringRule(
        name=_text(element, "name"),
        scan_url=boolean(element, "scanUrl", default=False),
        scan_query_string=boolean(element, "scanQueryString", default=False),
        scan_headers=tuple(
            name for name in _inside(element, "scanHeaders", "requestHeader") if _HEADER_NAME.fullmatch(name)
        ),
        applies_to=tuple(
            name if name.startswith(".") else f".{name}"
            for name in _inside(element, "appliesTo", "fileExtension")
        ),
        deny_strings=_inside(element, "denyStrings", "string"),
    )
    if sum(map(len, (*rule.deny_strings, *rule.applies_to))) > _LONGEST_RULE:
        raise Fault(
            "too-many-entries",
            f"The strings of the filtering rule '{rule.name}' have more than {_LONGEST_RULE} characters.",
            line=element.line,
            remedy="Make several rules of it.",
        )
    return rule


_LONGEST_RULE = 10_000


def _inside(element: Element, collection: str, attribute: str) -> tuple[str, ...]:
    for part in element.named(collection):
        count_entries(part)
    return tuple(
        _text(add, attribute).lower() for part in element.named(collection) for add in part.named("add")
    )
