"""`<system.webServer><urlCompression>` and `<httpCompression>`: what is sent compressed (IIS reference §5.9)."""

import re
from dataclasses import dataclass, replace

from homeport.webconfig.document import Element
from homeport.webconfig.merging import merged
from homeport.webconfig.mime_types import DEFAULT_MIME_TYPES
from homeport.webconfig.reading import Fault, Range, boolean, number, required_text
from homeport.webconfig.schema import AttributeRow, ElementRow, Support, full

_TYPE = re.compile(r"[!#$&^_.+0-9a-z*-]+/[!#$&^_.+0-9a-z*-]+")
_TYPES = (
    ElementRow(name="add", attributes=full("mimeType", "enabled")),
    ElementRow(name="remove", attributes=full("mimeType")),
    ElementRow(name="clear"),
)
_OTHERS = (
    "cacheControlHeader",
    "directory",
    "doDiskSpaceLimiting",
    "dynamicCompressionDisableCpuUsage",
    "dynamicCompressionEnableCpuUsage",
    "expiresHeader",
    "maxDiskSpaceUsage",
    "noCompressionForHttp10",
    "noCompressionForProxies",
    "noCompressionForRange",
    "sendCacheHeaders",
    "staticCompressionDisableCpuUsage",
    "staticCompressionEnableCpuUsage",
    "staticCompressionIgnoreHitFrequency",
)

URL_COMPRESSION_TABLE = ElementRow(
    name="urlCompression",
    attributes=(
        *full("doStaticCompression", "doDynamicCompression"),
        AttributeRow(name="dynamicCompressionBeforeCache", support=Support.IRRELEVANT),
    ),
)
HTTP_COMPRESSION_TABLE = ElementRow(
    name="httpCompression",
    attributes=(
        AttributeRow(
            name="minFileSizeForComp",
            support=Support.PARTIAL,
            note="Holds for applications' answers as well.",
        ),
        *(AttributeRow(name=name, support=Support.IRRELEVANT) for name in _OTHERS),
    ),
    children=(
        *(
            ElementRow(
                name=name,
                support=Support.PARTIAL,
                note="text/html is compressed wherever anything is.",
                children=_TYPES,
            )
            for name in ("staticTypes", "dynamicTypes")
        ),
        ElementRow(name="scheme", support=Support.IRRELEVANT, note="gzip is the one scheme."),
        ElementRow(name="remove", support=Support.IRRELEVANT),
        ElementRow(name="clear", support=Support.IRRELEVANT),
    ),
)

DEFAULT_TYPES = (
    ("text/*", True),
    ("message/*", True),
    ("application/javascript", True),
    ("application/x-javascript", True),
    ("application/json", True),
    ("application/xml", True),
    ("image/svg+xml", True),
    ("*/*", False),
)
"""What App Service compresses (IIS reference §5.9; JSON, XML and SVG came later)."""

_KNOWN_TYPES = (
    *DEFAULT_MIME_TYPES,
    "application/x-javascript",
    "application/xml",
    "message/http",
    "message/rfc822",
    "text/csv",
    "text/javascript",
    "text/markdown",
    "text/x-component",
)
"""Types that a family (`text/*`) is made of; an event stream is none of them, because it must not wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """Which answers are compressed for clients that take it; sizes are bytes."""

    static: bool = True
    dynamic: bool = True
    static_types: tuple[tuple[str, bool], ...] = DEFAULT_TYPES
    dynamic_types: tuple[tuple[str, bool], ...] = DEFAULT_TYPES
    least_bytes: int = 2700


def apply_url_compression(section: Element, inherited: Compression) -> Compression:
    """Apply `<urlCompression>`. Raises `Fault`."""
    return replace(
        inherited,
        static=boolean(section, "doStaticCompression", default=inherited.static),
        dynamic=boolean(section, "doDynamicCompression", default=inherited.dynamic),
    )


def apply_http_compression(section: Element, inherited: Compression) -> Compression:
    """Apply `<httpCompression>` to what it inherits. Raises `Fault`."""
    static, dynamic = inherited.static_types, inherited.dynamic_types
    for collection in section.named("staticTypes"):
        static = _merged_types(collection, static)
    for collection in section.named("dynamicTypes"):
        dynamic = _merged_types(collection, dynamic)
    size = Range(least=0, most=4_294_967_295)
    return replace(
        inherited,
        static_types=static,
        dynamic_types=dynamic,
        least_bytes=number(section, "minFileSizeForComp", default=inherited.least_bytes, within=size),
    )


def compressed_types(types: tuple[tuple[str, bool], ...]) -> tuple[str, ...]:
    """Give the types that are compressed, families spelled out; `("*",)` for all. The most exact entry counts."""
    written = dict(types)
    if written.get("*/*") and all(written.values()):
        return ("*",)
    exact = [kind for kind in written if not kind.endswith("/*")]
    known = dict.fromkeys((*_KNOWN_TYPES, *exact))
    return tuple(sorted(kind for kind in known if _enabled(kind, written)))


def _enabled(kind: str, written: dict[str, bool]) -> bool:
    family = f"{kind.partition('/')[0]}/*"
    return next((written[name] for name in (kind, family, "*/*") if name in written), False)


def _merged_types(
    collection: Element, inherited: tuple[tuple[str, bool], ...]
) -> tuple[tuple[str, bool], ...]:
    return merged(
        collection,
        inherited,
        make=lambda element: (_type(element), boolean(element, "enabled", default=True)),
        key=lambda entry: entry[0],
        removed=_type,
        replaceable=DEFAULT_TYPES,
    )


def _type(element: Element) -> str:
    kind = required_text(element, "mimeType").partition(";")[0].strip().lower()
    if not _TYPE.fullmatch(kind):
        raise Fault("invalid-value", f"'{kind}' is no MIME type.", line=element.line)
    return kind
