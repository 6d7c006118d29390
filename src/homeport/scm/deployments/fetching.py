"""Downloads a package that the caller names by its address (`packageUri`, Kudu reference §3.2)."""

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from homeport.scm.http.bodies import PACKAGE_BYTES

_MOST_REDIRECTS = 5
_SCHEMES = frozenset({"http", "https"})
_CHUNK = 1024 * 1024


class Unreachable(Exception):
    """The package cannot be had from its address."""


def is_package_address(text: str) -> bool:
    """Tell whether a text is an absolute http or https address."""
    scheme, separator, rest = text.partition("://")
    return scheme.lower() in _SCHEMES and bool(separator) and bool(rest.strip("/"))


def fetch_package(
    address: str, target: Path, *, timeout_seconds: float, checkpoint: Callable[[], None]
) -> None:
    """Store what is at `address` in `target`; raises `Unreachable` and `OSError`.

    The request leaves from the site's own sandbox, so it reaches what the site's own code could reach, no more.
    Of the address only the host is in messages: the rest usually carries a signature.
    """
    import httpx

    try:
        with (
            httpx.Client(
                timeout=timeout_seconds, max_redirects=_MOST_REDIRECTS, follow_redirects=True
            ) as client,
            client.stream("GET", address) as response,
            target.open("xb") as file,
        ):
            if response.status_code != 200:
                raise Unreachable(f"The address of the package answered {response.status_code}.")
            total = 0
            for chunk in response.iter_bytes(_CHUNK):
                checkpoint()
                total += len(chunk)
                if total > PACKAGE_BYTES:
                    raise Unreachable(f"The package is larger than {PACKAGE_BYTES} bytes.")
                file.write(chunk)
    except httpx.InvalidURL as error:
        raise Unreachable("The package cannot be downloaded: its address is not valid.") from error
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise Unreachable(
            f"The package cannot be downloaded from {_host(address)}: {reason.rstrip('.')}.{about_loopback(address)}"
        ) from error


def about_loopback(address: str) -> str:
    """Say of an address of the machine's own loopback that a site has another; empty for other addresses."""
    host = _host(address)
    try:
        inside = ip_address(host).is_loopback
    except ValueError:
        inside = host == "localhost" or host.endswith(".localhost")
    return (
        f" Within a site's sandbox '{host}' is the site itself: name the machine by another address."
        if inside
        else ""
    )


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
