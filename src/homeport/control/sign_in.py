"""The pages to sign in to an SCM site and out of it.

They belong to the control plane, not to the site: the password goes from the browser through nginx to here, and
nothing that runs as the site sees it. They use no script.
"""

import base64
import hashlib
from collections.abc import Awaitable, Callable
from html import escape
from string import Template
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from homeport.control.access_tokens import SESSION_SECONDS, AccessTokens
from homeport.control.browser_requests import comes_from_own_page, own_path, session_cookie, sessions_of
from homeport.control.lockout import Lockout

CheckPassword = Callable[[str, str, str, str], Awaitable[str | None]]
"""Takes site, client's address, user and password; gives who it is, None for nobody."""

_MOST_BYTES = 16 * 1024
_RETRY_SECONDS = "60"
_STYLE = """
:root { color-scheme: light dark; --ink: light-dark(#23282c, #d9dde0); --quiet: light-dark(#5f686e, #98a2a9);
--line: light-dark(#d9d4cb, #363d43); --accent: light-dark(#22617f, #7cc0e0); }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: light-dark(#fbfaf8, #16191c);
color: var(--ink); font: 15px/1.55 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { width: min(22rem, 92vw); background: light-dark(#fff, #1d2125); border: 1px solid var(--line); border-radius: 14px;
padding: 2rem; box-sizing: border-box; }
h1 { font-size: 1.35rem; margin: 0 0 .2rem; overflow-wrap: anywhere; } p { margin: 0 0 1.2rem; color: var(--quiet); }
label { display: block; font-size: .9em; color: var(--quiet); margin-bottom: .9rem; }
input { display: block; width: 100%; box-sizing: border-box; font: inherit; color: var(--ink); margin-top: .2rem;
background: light-dark(#fff, #16191c); border: 1px solid var(--line); border-radius: 7px; padding: .5rem .7rem; }
button { width: 100%; font: inherit; border: 0; border-radius: 7px; padding: .55rem; margin-top: .4rem; cursor: pointer;
background: var(--accent); color: light-dark(#fff, #10222b); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; } code { font-size: .92em; }
.bad { color: light-dark(#a63a2e, #ef9a8d); } small { color: var(--quiet); display: block; margin-top: 1.2rem; }
"""
_PAGE = Template(
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><title>$title</title>'
    f"<style>{_STYLE}</style></head><body><main>$body</main></body></html>"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    # Not `no-referrer`: browsers would then say `Origin: null` when the form is sent.
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


class SignIn:
    """Answers for `/sign-in` and `/sign-out`, under which nginx shows `/.homeport/sign-in` and `/.homeport/sign-out`."""

    def __init__(self, check: CheckPassword, lockout: Lockout, tokens: AccessTokens) -> None:
        self._check = check
        self._lockout = lockout
        self._tokens = tokens

    async def show(self, request: Request) -> Response:
        """GET: the form."""
        return _form(_site(request), target=own_path(request.query_params.get("next", "/")))

    async def sign_in(self, request: Request) -> Response:
        """POST of the form: a session and the page that was wanted, or the form again."""
        site, client = _site(request), request.headers.get("x-real-ip", "")
        if not comes_from_own_page(request.headers):
            return _refused()
        fields = await _fields(request)
        target, name = own_path(fields.get("next", "/")), fields.get("user", "")
        if self._lockout.blocked(site, client):
            problem = "Too many attempts. Wait a minute, then try again."
            return _form(site, target=target, user=name, status=429, problem=problem)
        user = await self._check(site, client, name, fields.get("password", ""))
        if user is None:
            problem = "These are not the site's publishing credentials."
            return _form(site, target=target, user=name, status=401, problem=problem)
        secret = await self._tokens.begin_session(site, user, fields.get("password", ""))
        cookie = session_cookie(request.headers, secret.reveal(), seconds=SESSION_SECONDS)
        return _to(target, cookie)

    async def ask_to_leave(self, request: Request) -> Response:
        """GET: a question, because looking at a page must change nothing."""
        return _page(
            "Sign out",
            f"<h1>{escape(_site(request))}</h1><p>You are signed in to the SCM site of this app.</p>"
            '<form method="post" action="/.homeport/sign-out"><button>Sign out</button></form>',
        )

    async def sign_out(self, request: Request) -> Response:
        """POST: the session ends, here and in the browser."""
        if not comes_from_own_page(request.headers):
            return _refused()
        for secret in sessions_of(request.headers):
            await self._tokens.end_session(secret)
        return _to("/.homeport/sign-in", session_cookie(request.headers, "", seconds=0))


async def _fields(request: Request) -> dict[str, str]:
    """Read the form's fields; one that is too long or no form has none."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            return {}
    try:
        return {name: values[-1] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
    except ValueError:
        return {}


def _site(request: Request) -> str:
    return request.headers.get("x-homeport-site", "").lower()


def _form(site: str, *, target: str, user: str = "", status: int = 200, problem: str = "") -> Response:
    """Make the form, with the name that was typed last, or the site's own user."""
    notice = (
        f'<p class="bad" role="alert">{escape(problem)}</p>' if problem else "<p>Sign in to the SCM site</p>"
    )
    body = (
        f"<h1>{escape(site)}</h1>{notice}"
        f'<form method="post" action="/.homeport/sign-in"><input type="hidden" name="next" value="{escape(target)}">'
        f'<label>User<input name="user" value="{escape(user or f"${site}")}" autocomplete="username" autocapitalize="off" '
        'spellcheck="false" required></label>'
        '<label>Password<input name="password" type="password" autocomplete="current-password" required autofocus></label>'
        f"<button>Sign in</button></form><small>The site's publishing credentials: "
        f"<code>homeport site show {escape(site)}</code></small>"
    )
    return _page(f"Sign in to {site}", body, status=status)


def _page(title: str, body: str, *, status: int = 200) -> Response:
    headers = {**_HEADERS, **({"retry-after": _RETRY_SECONDS} if status == 429 else {})}
    return Response(_PAGE.substitute(title=escape(title), body=body), status_code=status, headers=headers)


def _refused() -> Response:
    return _page(
        "Refused", "<h1>Refused</h1><p>The request does not come from this site's own page.</p>", status=403
    )


def _to(target: str, cookie: str) -> Response:
    headers = {"location": target, "set-cookie": cookie, "cache-control": "no-store"}
    return Response(status_code=303, headers=headers)
