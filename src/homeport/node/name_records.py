"""What the name service says about a host name that somebody wants for a site.

The agent asks, because the control plane has no network.
"""

from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.resolver

from homeport.model.errors import Unavailable

_SECONDS = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRecords:
    """The TXT records of `asuid.<host>` and what the host is an alias of."""

    texts: tuple[str, ...]
    alias: str | None


async def find_records(host: str, *, server: tuple[str, int] | None = None) -> NameRecords:
    """Ask the machine's name servers, or one that is given. Raises `Unavailable` when none answers."""
    try:
        resolver = dns.asyncresolver.Resolver(configure=server is None)
    except dns.exception.DNSException as error:
        raise _unanswered(host, error) from error
    resolver.lifetime = _SECONDS
    if server is not None:
        resolver.nameservers, resolver.port = [server[0]], server[1]
    texts = await _ask(resolver, f"asuid.{host}", "TXT")
    alias = await _ask(resolver, host, "CNAME")
    return NameRecords(texts=texts, alias=alias[0].removesuffix(".") if alias else None)


async def _ask(resolver: dns.asyncresolver.Resolver, name: str, kind: str) -> tuple[str, ...]:
    try:
        answer = await resolver.resolve(f"{name}.", kind)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return ()
    except (dns.exception.DNSException, OSError) as error:
        raise _unanswered(name, error) from error
    if kind == "TXT":
        return tuple(b"".join(record.strings).decode(errors="replace") for record in answer)
    return tuple(str(record.target) for record in answer)


def _unanswered(name: str, error: Exception) -> Unavailable:
    return Unavailable(
        f"The name service could not be asked about '{name}' ({error}); try again, or let the administrator "
        "add the name with --unverified.",
        code="NameServiceUnavailable",
    )
