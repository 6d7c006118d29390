"""Host names of sites, and what proves that somebody may use one."""

import re
from collections.abc import Collection, Iterable

from homeport.model.errors import Forbidden, Invalid

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_MOST_LENGTH = 253


def custom_host_name(text: str, *, domain: str) -> str:
    """Check and normalise a host name that a site is to have beside the platform's. Raises `Invalid`.

    Names in the platform's own domain follow from the sites' names, so nobody can take another site's or the
    platform's. A name needs a dot: one without could be any machine of a network.
    """
    name = text.strip().lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > _MOST_LENGTH or len(labels) < 2 or not all(_LABEL.fullmatch(each) for each in labels):
        raise Invalid(
            f"'{text}' cannot be a host name: give a full name such as www.example.org, "
            "with letters, digits and hyphens (a name in other letters in its xn-- form).",
            code="InvalidHostName",
        )
    if labels[-1].isdigit():
        raise Invalid(f"'{text}' is an address, not a host name.", code="InvalidHostName")
    if name == domain or name.endswith(f".{domain}") or labels[-1] == "localhost":
        raise Invalid(
            f"'{text}' is inside the platform's own domain, where names follow from the names of the sites.",
            code="ReservedHostName",
        )
    return name


def check_ownership(
    host: str, *, default_host: str, verification_id: str, texts: Collection[str], alias: str | None
) -> None:
    """Check that the one who asks rules over the name, as App Service does. Raises `Forbidden` with what to enter.

    Enough is a TXT record `asuid.<host>` that holds the platform's verification id (`texts` are the records found),
    or that the name is an alias (CNAME) of the site's own name.
    """
    if verification_id.lower() in {text.strip().lower() for text in texts}:
        return
    if alias is not None and alias.lower().removesuffix(".") == default_host:
        return
    raise Forbidden(
        f"Nothing in the name service shows that '{host}' is yours. Enter a TXT record asuid.{host} with the value "
        f"{verification_id}, or make {host} an alias (CNAME) of {default_host}; then try again.",
        code="HostNameNotVerified",
    )


def covers_host(names: Iterable[str], host: str) -> bool:
    """Tell whether one of a certificate's names is this host, or a wildcard in the place of its first label."""
    rest = host.partition(".")[2]
    return any(name.lower() == host or (name.startswith("*.") and name[2:].lower() == rest) for name in names)
