"""`<system.webServer><handlers>`: which program answers which URL (IIS reference §1.3 to §1.10)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from homeport.model.finding import Finding, Severity
from homeport.webconfig.bounds import MOST_ENTRIES
from homeport.webconfig.document import Element
from homeport.webconfig.plan import ResourceType
from homeport.webconfig.reading import Fault, count_entries, flags, required, required_text, word
from homeport.webconfig.schema import AttributeRow, ElementRow, Support, full

ACCESS_FLAGS: Mapping[str, str] = {
    flag.lower(): flag
    for flag in (
        "None",
        "Read",
        "Write",
        "Execute",
        "Source",
        "Script",
        "NoRemoteWrite",
        "NoRemoteRead",
        "NoRemoteExecute",
        "NoRemoteScript",
    )
}
DEFAULT_ACCESS = frozenset({"Read", "Script"})
"""What App Service sets for every site (IIS reference §1.4)."""

PLATFORM_HANDLERS = frozenset(
    {"Python27_via_FastCGI", "Python34_via_FastCGI", "Python FastCGI", "PythonHandler", "httpPlatformHandler"}
)
"""Names that public configurations remove without knowing whether they are there."""

_LONGEST_PATTERN = 500
"""Bytes of a path or a list of verbs: it becomes a pattern of the server."""

TABLE = ElementRow(
    name="handlers",
    attributes=(
        AttributeRow(
            name="accessPolicy",
            support=Support.PARTIAL,
            note="Read, Write, Script and Execute are honoured; the NoRemote flags are not.",
        ),
    ),
    children=(
        ElementRow(
            name="add",
            attributes=(
                *full("name", "path", "verb", "scriptProcessor", "resourceType", "requireAccess"),
                AttributeRow(
                    name="modules",
                    support=Support.PARTIAL,
                    note="FastCgiModule, httpPlatformHandler, StaticFileModule, DefaultDocumentModule and ProtocolSupportModule; "
                    "others answer 500.",
                ),
                AttributeRow(name="type", support=Support.PARTIAL, note=".NET handlers answer 500."),
                AttributeRow(
                    name="preCondition",
                    support=Support.PARTIAL,
                    note="classicMode and runtimeVersionv2.0 never hold, the others always do.",
                ),
                AttributeRow(
                    name="allowPathInfo",
                    support=Support.PARTIAL,
                    note="PATH_INFO is always the whole path, as with AllowPathInfoForScriptMappings off.",
                ),
                AttributeRow(
                    name="responseBufferLimit",
                    support=Support.PARTIAL,
                    note="Responses are always sent as they are made, as with 0.",
                ),
            ),
        ),
        ElementRow(name="remove", attributes=full("name")),
        ElementRow(name="clear"),
    ),
)


class RequiredAccess(StrEnum):
    """`requireAccess`: the right that `accessPolicy` must hold for a handler to run."""

    NONE = "None"
    READ = "Read"
    WRITE = "Write"
    SCRIPT = "Script"
    EXECUTE = "Execute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """One entry; `base` is the URL folder (slashes at both ends) its path is relative to."""

    name: str
    path: str
    verbs: tuple[str, ...]
    modules: tuple[str, ...] = ()
    type: str = ""
    script_processor: str = ""
    resource_type: ResourceType = ResourceType.UNSPECIFIED
    required_access: RequiredAccess = RequiredAccess.SCRIPT
    preconditions: frozenset[str] = frozenset()
    base: str = "/"
    file: str = ""
    line: int = 0

    @property
    def holds(self) -> bool:
        """Whether its preconditions do: a 64-bit worker in integrated mode with .NET 4."""
        return not self.preconditions & {"classicmode", "isapimode", "runtimeversionv2.0"}


DEFAULT_HANDLERS = (
    Handler(
        name="OPTIONSVerbHandler",
        path="*",
        verbs=("OPTIONS",),
        modules=("ProtocolSupportModule",),
        required_access=RequiredAccess.NONE,
    ),
    Handler(
        name="StaticFile",
        path="*",
        verbs=("*",),
        modules=("StaticFileModule", "DefaultDocumentModule", "DirectoryListingModule"),
        resource_type=ResourceType.EITHER,
        required_access=RequiredAccess.READ,
    ),
)
"""What every site begins with: the part of IIS's own list that serves something here (IIS reference §1.10).

TRACE has no entry because nginx refuses it before any rule is looked at.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerList:
    """The handlers in force at one place, in the order they are tried, with the rights they may use."""

    handlers: tuple[Handler, ...] = DEFAULT_HANDLERS
    access: frozenset[str] = DEFAULT_ACCESS


def apply_handlers(
    section: Element, inherited: HandlerList, *, base: str, file: str
) -> tuple[HandlerList, list[Finding]]:
    """Apply one `<handlers>` to what it inherits: its own entries come first, in document order.

    Raises `Fault` for what IIS answers 500.19 to: a name that is already there, a missing or wrong attribute.
    """
    count_entries(section)
    kept, added = list(inherited.handlers), list[Handler]()
    findings: list[Finding] = []
    for element in section.children:
        if element.name == "add":
            added.append(_handler(element, [*kept, *added], base=base, file=file))
        elif element.name == "remove":
            name = required(element, "name")
            findings += _absent(element, name, [*added, *kept], file=file)
            kept = [handler for handler in kept if handler.name != name]
            added = [handler for handler in added if handler.name != name]
        elif element.name == "clear":
            kept, added = [], []
    if len(added) + len(kept) > MOST_ENTRIES:
        raise Fault(
            "too-many-entries", f"There are more than {MOST_ENTRIES} handlers here.", line=section.line
        )
    access = flags(section, "accessPolicy", default=inherited.access, known=ACCESS_FLAGS)
    return HandlerList(handlers=(*added, *kept), access=access), findings


def _handler(element: Element, present: Sequence[Handler], *, base: str, file: str) -> Handler:
    name = required(element, "name")
    earlier = next((handler for handler in present if handler.name == name), None)
    if earlier is not None:
        where = f"{earlier.file}:{earlier.line}" if earlier.file else "the platform's own list"
        raise Fault(
            "duplicate-key",
            f"A handler named '{name}' is already there, from {where}.",
            line=element.line,
            remedy=f'Write <remove name="{name}"/> before it, or choose another name.',
        )
    return Handler(
        name=name,
        path=required_text(element, "path", most=_LONGEST_PATTERN),
        verbs=_verbs(required_text(element, "verb", most=_LONGEST_PATTERN)),
        modules=_list(element.get("modules")),
        type=element.get("type") or "",
        script_processor=element.get("scriptProcessor") or "",
        resource_type=word(element, "resourceType", default=ResourceType.UNSPECIFIED),
        required_access=word(element, "requireAccess", default=RequiredAccess.SCRIPT),
        preconditions=frozenset(part.lower() for part in _list(element.get("preCondition"))),
        base=base,
        file=file,
        line=element.line,
    )


def _verbs(text: str) -> tuple[str, ...]:
    verbs = _list(text)
    return ("*",) if "*" in verbs or not verbs else verbs


def _list(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _absent(element: Element, name: str, present: Sequence[Handler], *, file: str) -> list[Finding]:
    """IIS removes in silence what is not there; a misspelt name then keeps a handler that should have gone."""
    if name in PLATFORM_HANDLERS or any(handler.name == name for handler in present):
        return []
    names = ", ".join(f"'{handler.name}'" for handler in present if handler.file) or "none"
    return [
        Finding(
            severity=Severity.INFO,
            code="webconfig.nothing-to-remove",
            message=f"There is no handler '{name}' to remove; letter case counts. Defined above are: {names}.",
            file=file,
            line=element.line,
        )
    ]
