"""`<system.webServer><httpErrors>`: the site's own error pages (IIS reference §5.5)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from homeport.webconfig.document import Element
from homeport.webconfig.merging import merged
from homeport.webconfig.reading import Fault, Range, number, required, required_text, text, word
from homeport.webconfig.schema import AttributeRow, ElementRow, Support, full

ANY_SUB_STATUS = -1
_LOCKED = ("defaultPath", "allowAbsolutePathsWhenDelegated")

TABLE = ElementRow(
    name="httpErrors",
    attributes=(
        AttributeRow(
            name="errorMode",
            support=Support.PARTIAL,
            note="Detailed leaves out the site's own pages; DetailedLocalOnly means Custom for every client.",
        ),
        AttributeRow(
            name="existingResponse",
            support=Support.PARTIAL,
            note="Auto replaces an application's answers only where <error> entries name their status.",
        ),
        AttributeRow(name="defaultResponseMode", support=Support.PARTIAL, note="There is no default page."),
        AttributeRow(
            name="defaultPath", support=Support.PARTIAL, note="Locked, as under IIS: answers 500.19."
        ),
        AttributeRow(
            name="allowAbsolutePathsWhenDelegated",
            support=Support.PARTIAL,
            note="Locked, as under IIS: answers 500.19.",
        ),
        AttributeRow(name="detailedMoreInformationLink", support=Support.IRRELEVANT),
    ),
    children=(
        ElementRow(
            name="error",
            attributes=(
                *full("statusCode", "responseMode"),
                AttributeRow(
                    name="subStatusCode",
                    support=Support.PARTIAL,
                    note="Known for what the server itself refuses: 403.4 to 403.14, 404.3 to 404.19; for pools whose "
                    "processes cannot be reached or fail: 502.3 (httpPlatform), 500.0 and 503.0 (FastCGI).",
                ),
                AttributeRow(
                    name="path",
                    support=Support.PARTIAL,
                    note="A file is looked for in the folder of its web.config, then in the site's own.",
                ),
                AttributeRow(
                    name="prefixLanguageFilePath",
                    support=Support.PARTIAL,
                    note="The language is always en-US; then the folder itself is looked in.",
                ),
            ),
        ),
        ElementRow(name="remove", attributes=full("statusCode", "subStatusCode")),
        ElementRow(name="clear"),
    ),
)


class ErrorMode(StrEnum):
    """`errorMode`."""

    DETAILED_LOCAL_ONLY = "DetailedLocalOnly"
    CUSTOM = "Custom"
    DETAILED = "Detailed"


class ExistingResponse(StrEnum):
    """`existingResponse`: what becomes of an application's own error page."""

    AUTO = "Auto"
    REPLACE = "Replace"
    PASS_THROUGH = "PassThrough"  # noqa: S105 (no password)


class ResponseMode(StrEnum):
    """`responseMode`: what `path` is."""

    FILE = "File"
    EXECUTE_URL = "ExecuteURL"
    REDIRECT = "Redirect"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPage:
    """One entry. `paths` are tried in turn: URL paths of files in the content, or the one URL of the other modes."""

    status: int
    sub_status: int = ANY_SUB_STATUS
    mode: ResponseMode = ResponseMode.FILE
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpErrors:
    """How errors are shown."""

    mode: ErrorMode = ErrorMode.DETAILED_LOCAL_ONLY
    existing_response: ExistingResponse = ExistingResponse.AUTO
    written: tuple[ErrorPage, ...] = ()

    @property
    def pages(self) -> tuple[ErrorPage, ...]:
        """Give the pages that are really shown."""
        return () if self.mode is ErrorMode.DETAILED else self.written

    @property
    def replaces_answers(self) -> bool:
        """Tell whether error answers of applications are looked at: some or all are replaced."""
        if self.existing_response is ExistingResponse.REPLACE:
            return True
        return self.existing_response is ExistingResponse.AUTO and bool(self.pages)


def apply_http_errors(section: Element, inherited: HttpErrors, *, base: str) -> HttpErrors:
    """Apply one section to what it inherits. Raises `Fault`."""
    for name in _LOCKED:
        if section.get(name) is not None:
            raise Fault(
                "locked",
                f"'{name}' of <httpErrors> is locked by the platform (0x80070021).",
                line=section.line,
                remedy="Remove it and write <error> entries with relative paths.",
            )
    word(section, "defaultResponseMode", default=ResponseMode.FILE)
    return replace(
        inherited,
        mode=word(section, "errorMode", default=inherited.mode),
        existing_response=word(section, "existingResponse", default=inherited.existing_response),
        written=merged(
            section,
            inherited.written,
            make=lambda element: _page(element, base=base),
            key=lambda page: (page.status, page.sub_status),
            removed=lambda element: (_status(element), _sub_status(element)),
            add="error",
        ),
    )


def _page(element: Element, *, base: str) -> ErrorPage:
    mode = word(element, "responseMode", default=ResponseMode.FILE)
    path = required_text(element, "path").strip()
    if mode is ResponseMode.FILE:
        paths: Sequence[str] = _files(element, path, base=base)
    elif mode is ResponseMode.EXECUTE_URL:
        paths = [f"/{path.lstrip('/')}"]
    else:
        paths = [path]
    return ErrorPage(
        status=_status(element), sub_status=_sub_status(element), mode=mode, paths=tuple(dict.fromkeys(paths))
    )


def _files(element: Element, path: str, *, base: str) -> list[str]:
    prefix = text(element, "prefixLanguageFilePath").strip()
    for part in (path, prefix):
        if ":" in part or part.startswith(("\\", "/", "%")) or ".." in part.replace("\\", "/").split("/"):
            raise Fault(
                "invalid-value",
                f"'{part}' of <error> must be a path below the folder of this web.config; IIS takes no other here.",
                line=element.line,
                remedy="Write a relative path, or responseMode='ExecuteURL' for a URL.",
            )
    languages = [f"{prefix}/en-US/{path}", f"{prefix}/{path}"] if prefix else [path]
    parts = [_joined(language) for language in languages]
    return [*(f"{base}{part}" for part in parts), *(f"/{part}" for part in parts)]


def _joined(path: str) -> str:
    return "/".join(part for part in path.replace("\\", "/").split("/") if part not in {"", "."})


def _status(element: Element) -> int:
    required(element, "statusCode")
    return number(element, "statusCode", default=0, within=Range(least=400, most=999))


def _sub_status(element: Element) -> int:
    if (element.get("subStatusCode") or "").strip() == "-1":
        return ANY_SUB_STATUS
    return number(element, "subStatusCode", default=ANY_SUB_STATUS, within=Range(least=0, most=999))
