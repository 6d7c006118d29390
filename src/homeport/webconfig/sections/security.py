"""`<system.webServer><security>` but request filtering: who may ask (IIS reference §5.9).

Nobody signs in to a site by Windows means here: every visitor is anonymous, and what IIS would keep from an
anonymous visitor is kept from all.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from homeport.model.finding import Finding, Severity
from homeport.webconfig.document import Element
from homeport.webconfig.merging import merged
from homeport.webconfig.reading import Fault, boolean, flags, required, text, word
from homeport.webconfig.schema import AttributeRow, ElementRow, Support, absent, full

_SSL_FLAGS: Mapping[str, str] = {
    flag.lower(): flag
    for flag in ("None", "Ssl", "SslNegotiateCert", "SslRequireCert", "SslMapCert", "Ssl128")
}

IP_SECURITY_TABLE = ElementRow(
    name="ipSecurity",
    attributes=(
        *full("allowUnlisted", "denyAction"),
        AttributeRow(name="enableReverseDns", support=Support.ABSENT),
        AttributeRow(
            name="enableProxyMode",
            support=Support.ABSENT,
            note="The address that connects is the one looked at.",
        ),
    ),
    children=(
        ElementRow(
            name="add",
            attributes=(
                *full("ipAddress", "subnetMask", "allowed"),
                AttributeRow(
                    name="domainName", support=Support.ABSENT, note="Name the addresses themselves."
                ),
            ),
        ),
        ElementRow(name="remove", attributes=full("ipAddress", "subnetMask", "domainName")),
        ElementRow(name="clear"),
    ),
)
ACCESS_TABLE = ElementRow(
    name="access",
    attributes=(
        AttributeRow(
            name="sslFlags",
            support=Support.PARTIAL,
            note="Ssl is honoured; client certificates are not asked for: SslRequireCert refuses everybody (403.7).",
        ),
    ),
)
AUTHORIZATION_TABLE = ElementRow(
    name="authorization",
    attributes=(AttributeRow(name="bypassLoginPages", support=Support.IRRELEVANT),),
    children=(
        ElementRow(
            name="add",
            support=Support.PARTIAL,
            note="Every visitor is the anonymous one (`?`).",
            attributes=full("accessType", "users", "roles", "verbs"),
        ),
        ElementRow(name="remove", attributes=full("users", "roles", "verbs")),
        ElementRow(name="clear"),
    ),
)
AUTHENTICATION_TABLE = ElementRow(
    name="authentication",
    children=(
        ElementRow(
            name="anonymousAuthentication",
            attributes=(
                AttributeRow(
                    name="enabled",
                    support=Support.PARTIAL,
                    note="false refuses everybody (401.2): there is no other way to sign in.",
                ),
                *(
                    AttributeRow(name=name, support=Support.IRRELEVANT)
                    for name in ("userName", "password", "logonMethod", "defaultLogonDomain")
                ),
            ),
        ),
        *absent(
            "basicAuthentication",
            "clientCertificateMappingAuthentication",
            "digestAuthentication",
            "iisClientCertificateMappingAuthentication",
            "windowsAuthentication",
        ),
    ),
)


class DenyAction(StrEnum):
    """`denyAction` of `<ipSecurity>`."""

    FORBIDDEN = "Forbidden"
    UNAUTHORIZED = "Unauthorized"
    NOT_FOUND = "NotFound"
    ABORT_REQUEST = "AbortRequest"


@dataclass(frozen=True, slots=True, kw_only=True)
class IpSecurity:
    """Which addresses may ask: the first network of `written` that holds the client's decides."""

    allow_unlisted: bool = True
    deny_action: DenyAction = DenyAction.FORBIDDEN
    written: tuple[tuple[str, bool], ...] = ()

    @property
    def networks(self) -> tuple[tuple[str, bool], ...]:
        """Give the networks that can decide: one inside an earlier one never does, so the smallest counts."""
        found: list[tuple[str, bool]] = []
        seen: set[tuple[int, int, int]] = set()
        for written, allowed in self.written:
            network = ipaddress.ip_network(written)
            address, bits = int(network.network_address), network.max_prefixlen
            outer = (
                (network.version, length, address >> (bits - length))
                for length in range(network.prefixlen + 1)
            )
            if not any(known in seen for known in outer):
                seen.add((network.version, network.prefixlen, address >> (bits - network.prefixlen)))
                found.append((written, allowed))
        return tuple(found)

    @property
    def refuses(self) -> bool:
        """Tell whether anybody is refused."""
        return not self.allow_unlisted or any(not allowed for _, allowed in self.written)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRule:
    """One entry, in lower case but for verbs; no verbs: all."""

    allow: bool = True
    users: tuple[str, ...] = ("*",)
    roles: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it from others: `<remove>` names it by that."""
        return frozenset(self.users), frozenset(self.roles), frozenset(self.verbs)

    @property
    def is_for_anonymous(self) -> bool:
        """Tell whether it speaks of a visitor who has not signed in."""
        return bool({"*", "?"} & set(self.users))


_EVERYBODY = (AuthorizationRule(),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a visitor must bring along. `certificate` is a client certificate, which nobody can bring here."""

    encrypted: bool = False
    certificate: bool = False
    anonymous: bool = True
    rules: tuple[AuthorizationRule, ...] = _EVERYBODY

    @property
    def denied_verbs(self) -> tuple[str, ...]:
        """Give the verbs that a rule denies: denials go before permissions; `*` stands for all."""
        return _verbs(rule for rule in self.rules if not rule.allow)

    @property
    def allowed_verbs(self) -> tuple[str, ...]:
        """Give the verbs that some rule allows; `*` stands for all."""
        return _verbs(rule for rule in self.rules if rule.allow)


def apply_ip_security(section: Element, inherited: IpSecurity) -> IpSecurity:
    """Apply one section to what it inherits. Raises `Fault`."""
    # An entry that names a host instead of an address is told by its attribute and decides nothing.
    addresses = replace(
        section,
        children=tuple(
            child for child in section.children if child.get("ipAddress") or child.name == "clear"
        ),
    )
    return IpSecurity(
        allow_unlisted=boolean(section, "allowUnlisted", default=inherited.allow_unlisted),
        deny_action=word(section, "denyAction", default=inherited.deny_action),
        written=merged(
            addresses,
            inherited.written,
            make=lambda element: (_network(element), boolean(element, "allowed", default=False)),
            key=lambda entry: entry[0],
            removed=_network,
        ),
    )


def apply_access(section: Element, inherited: Access) -> Access:
    """Apply `<access>`. Raises `Fault`."""
    if section.get("sslFlags") is None:
        return inherited
    wanted = flags(section, "sslFlags", default=frozenset(), known=_SSL_FLAGS)
    return replace(
        inherited,
        encrypted=bool(wanted & {"Ssl", "Ssl128", "SslRequireCert"}),
        certificate="SslRequireCert" in wanted,
    )


def apply_anonymous(section: Element, inherited: Access) -> Access:
    """Apply `<anonymousAuthentication>`. Raises `Fault`."""
    return replace(inherited, anonymous=boolean(section, "enabled", default=inherited.anonymous))


def apply_authorization(section: Element, inherited: Access) -> Access:
    """Apply `<authorization>` to what it inherits. Raises `Fault`."""
    rules = merged(
        section,
        inherited.rules,
        make=_rule,
        key=lambda rule: rule.key,
        removed=lambda element: _entry(element, allow=True).key,
    )
    return replace(inherited, rules=rules)


def closed_doors(section: Element, *, file: str) -> list[Finding]:
    """Say that nobody gets in where a site counts on Windows sign-in or client certificates."""
    reason = ""
    if section.name == "anonymousAuthentication" and (section.get("enabled") or "").lower() == "false":
        reason = "Anonymous visitors are refused, and there is no other way to sign in: everybody gets 401."
    elif section.name == "access" and "sslrequirecert" in (section.get("sslFlags") or "").lower():
        reason = "Client certificates are required, which are not asked for here: everybody gets 403."
    if not reason:
        return []
    return [
        Finding(
            severity=Severity.ERROR,
            code="webconfig.nobody-gets-in",
            message=reason,
            file=file,
            line=section.line,
            remedy="Let the application itself decide who may see what.",
        )
    ]


def _network(element: Element) -> str:
    address = text(element, "ipAddress").strip()
    mask = text(element, "subnetMask").strip()
    try:
        return str(ipaddress.ip_network(f"{address}/{mask}" if mask else address, strict=False))
    except ValueError as error:
        raise Fault(
            "invalid-value",
            f"'{address}' with the mask '{mask}' is no network.",
            line=element.line,
            remedy="Write an address, and a mask such as '255.255.255.0' where it is a network.",
        ) from error


def _rule(element: Element) -> AuthorizationRule:
    access = required(element, "accessType").lower()
    if access not in {"allow", "deny"}:
        raise Fault("invalid-value", f"accessType '{access}' is neither Allow nor Deny.", line=element.line)
    return _entry(element, allow=access == "allow")


def _entry(element: Element, *, allow: bool) -> AuthorizationRule:
    return AuthorizationRule(
        allow=allow,
        users=_list(text(element, "users").lower()),
        roles=_list(text(element, "roles").lower()),
        verbs=_list(text(element, "verbs")),
    )


def _list(written: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in written.split(",") if part.strip())


def _verbs(rules: Iterable[AuthorizationRule]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for rule in rules:
        if rule.is_for_anonymous:
            found |= dict.fromkeys(rule.verbs or ("*",))
    return ("*",) if "*" in found else tuple(found)
