"""What a request from a browser tells about where it comes from. Pure."""

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from homeport.model.secret import Secret

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN = frozenset({"same-origin", "none"})
_MOST_COOKIES = 5
SIGN_IN = "/.homeport/sign-in"


def cookie_name(headers: Mapping[str, str]) -> str:
    """Return the session cookie's name. Over HTTPS browsers let nobody but this very host set one of this name."""
    return "__Host-homeport" if is_https(headers) else "homeport_scm"


def is_https(headers: Mapping[str, str]) -> bool:
    """Tell whether the visitor came by HTTPS, as nginx says."""
    return headers.get("x-forwarded-proto") == "https"


def sessions_of(headers: Mapping[str, str]) -> list[Secret]:
    """Return the session secrets in the cookies: a neighbouring host may have planted one of the same name by HTTP."""
    name = cookie_name(headers)
    found = []
    for part in headers.get("cookie", "").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name and value:
            found.append(Secret(value))
    return found[:_MOST_COOKIES]


def session_cookie(headers: Mapping[str, str], value: str, *, seconds: int) -> str:
    """Return the `Set-Cookie` of a session, whose value is URL-safe; 0 seconds removes it."""
    secure = "; Secure" if is_https(headers) else ""
    return f"{cookie_name(headers)}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"


def changes_something(headers: Mapping[str, str]) -> bool:
    """Tell a request that a page of another site must not be able to make: a change, or a WebSocket."""
    return headers.get("x-original-method", "GET") not in _SAFE or headers.get("x-homeport-upgrade", "") != ""


def is_upgrade(headers: Mapping[str, str]) -> bool:
    """Tell a WebSocket."""
    return headers.get("x-homeport-upgrade", "") != ""


def is_for_application(headers: Mapping[str, str]) -> bool:
    """Tell a request for an application that an extension has brought below the SCM site, as nginx says."""
    return headers.get("x-homeport-application", "") != ""


def comes_from_elsewhere(headers: Mapping[str, str]) -> bool:
    """Tell a request that a browser made for a page of another origin."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in _OWN:
        return True
    sender = headers.get("origin")
    return sender is not None and not _is_own(sender, headers)


def comes_from_own_page(headers: Mapping[str, str]) -> bool:
    """Tell a request that says itself that a page of this very origin made it."""
    return "origin" in headers and not comes_from_elsewhere(headers)


def is_navigation(headers: Mapping[str, str]) -> bool:
    """Tell a person who opens a page from a client that reads an answer."""
    if headers.get("x-original-method", "GET") not in {"GET", "HEAD"} or is_upgrade(headers):
        return False
    mode = headers.get("sec-fetch-mode")
    if mode is not None:
        return mode == "navigate" and headers.get("sec-fetch-dest", "document") == "document"
    return "text/html" in headers.get("accept", "") and headers.get("user-agent", "").startswith("Mozilla/")


def sign_in_address(target: str) -> str:
    """Return the address of the sign-in page that leads on to `target`."""
    return SIGN_IN if target == "/" else f"{SIGN_IN}?next={quote(target, safe='/')}"


def own_path(target: str) -> str:
    """Return `target` where it is a path of this host, else `/`: nobody is led elsewhere after signing in."""
    plain = target.isascii() and target.isprintable() and not {" ", "\\"} & set(target)
    parts = urlsplit(target) if plain and target.startswith("/") and not target.startswith("//") else None
    return target if parts and not parts.netloc and not parts.scheme else "/"


def _is_own(sender: str, headers: Mapping[str, str]) -> bool:
    scheme = "https" if is_https(headers) else "http"
    return sender.lower() == f"{scheme}://{headers.get('x-forwarded-host', '').lower()}"
