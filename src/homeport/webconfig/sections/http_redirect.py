"""`<system.webServer><httpRedirect>`: sending visitors elsewhere (IIS reference §5.6)."""

from dataclasses import dataclass
from enum import StrEnum

from homeport.webconfig.document import Element
from homeport.webconfig.merging import merged
from homeport.webconfig.reading import Fault, boolean, required_text, text, word
from homeport.webconfig.schema import AttributeRow, ElementRow, Support, full

_MOST_STARS = 9
_LONGEST_WILDCARD = 250

TABLE = ElementRow(
    name="httpRedirect",
    attributes=(
        *full("enabled", "exactDestination", "childOnly", "httpResponseStatus"),
        AttributeRow(
            name="destination",
            support=Support.PARTIAL,
            note="$S, $Q, $P and $V stand for pieces of the address as the client sent it.",
        ),
    ),
    children=(
        ElementRow(
            name="add",
            support=Support.PARTIAL,
            note="$1 to $9 stand for the pieces that the wildcards match, $0 for the first; compared without case.",
            attributes=full("wildcard", "destination"),
        ),
        ElementRow(name="remove", attributes=full("wildcard")),
        ElementRow(name="clear"),
    ),
)


class RedirectStatus(StrEnum):
    """`httpResponseStatus`."""

    FOUND = "Found"
    PERMANENT = "Permanent"
    TEMPORARY = "Temporary"
    PERM_REDIRECT = "PermRedirect"

    @property
    def code(self) -> str:
        """Give the status."""
        return {"Found": "302", "Permanent": "301", "Temporary": "307", "PermRedirect": "308"}[self.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRedirect:
    """Where requests are sent; `base` is the folder (slashes at both ends) that addresses are relative to.

    `wildcards` are patterns over the rest of the address with destinations of their own; they are tried first.
    """

    enabled: bool = False
    destination: str = ""
    exact_destination: bool = False
    child_only: bool = False
    status: RedirectStatus = RedirectStatus.FOUND
    wildcards: tuple[tuple[str, str], ...] = ()
    base: str = "/"


def apply_http_redirect(section: Element, inherited: HttpRedirect, *, base: str) -> HttpRedirect:
    """Apply one section to what it inherits. Raises `Fault`."""
    own = section.get("destination") is not None or any(section.named("add"))
    return HttpRedirect(
        enabled=boolean(section, "enabled", default=inherited.enabled),
        destination=text(section, "destination", default=inherited.destination).strip(),
        exact_destination=boolean(section, "exactDestination", default=inherited.exact_destination),
        child_only=boolean(section, "childOnly", default=inherited.child_only),
        status=word(section, "httpResponseStatus", default=inherited.status),
        wildcards=merged(
            section,
            inherited.wildcards,
            make=_wildcard,
            key=lambda entry: entry[0],
            removed=lambda element: required_text(element, "wildcard").lower(),
        ),
        base=base if own else inherited.base,
    )


def _wildcard(element: Element) -> tuple[str, str]:
    pattern = required_text(element, "wildcard", most=_LONGEST_WILDCARD).lower()
    if pattern.count("*") > _MOST_STARS:
        raise Fault("invalid-value", f"'{pattern}' has more than {_MOST_STARS} wildcards.", line=element.line)
    return pattern, required_text(element, "destination")
