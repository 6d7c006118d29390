"""The two pages for a site's owner: the landing page and one failure. Plain HTML, nothing loaded from elsewhere."""

from collections.abc import Sequence
from html import escape
from string import Template

from starlette.responses import Response

from homeport.scm.failures import Failure

_HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --line: #8884; --quiet: #777; --soft: #8881; --link: light-dark(#0b5cad, #7db8f5); }
body { font: 16px/1.6 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
a { color: var(--link); } .quiet { color: var(--quiet); }
ul.links { padding: 0; display: flex; flex-wrap: wrap; gap: .4rem 1.4rem; list-style: none; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top;
padding: .45rem .8rem .45rem 0; border-bottom: 1px solid var(--line); } td.headline { overflow-wrap: anywhere; }
pre { background: var(--soft); padding: 1rem; border-radius: .4rem; overflow-x: auto; font-size: .85rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; } dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
</style>
</head>
<body>
$body
</body>
</html>
""")
_LINKS = (
    ("/api/vfs/site/wwwroot/", "Content"),
    ("/api/vfs/LogFiles/", "Log files"),
    ("/api/logstream", "Log stream"),
    ("/api/deployments", "Deployments"),
    ("/api/settings", "Settings"),
    ("/api/homeport/failures", "Failures as JSON"),
)


def landing_page(*, site: str, hostname: str, failures: Sequence[Failure]) -> Response:
    """Return the page at `/`."""
    links = "".join(f'<li><a href="{href}">{text}</a></li>' for href, text in _LINKS)
    body = (
        f'<h1>{escape(site)}</h1>\n<p class="quiet">The SCM site of {escape(hostname)}</p>\n'
        f'<ul class="links">{links}</ul>\n<h2>Newest failures</h2>\n{_failure_table(failures)}'
    )
    return _page(f"{site}: SCM site", body)


def failure_page(failure: Failure, *, site: str) -> Response:
    """Return the page of one failure, traceback and all: for the owner only."""
    facts = (
        ("When", failure.time),
        ("Where", "while the app was starting" if failure.kind == "startup" else "in a request"),
        ("Request", f"{failure.method} {failure.path}".strip()),
        ("Handler", failure.handler),
        ("Python", failure.python),
        ("Incident", failure.id),
    )
    rows = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts if text)
    body = (
        f'<p><a href="/">{escape(site)}</a></p>\n<h1>{escape(failure.headline) or "Failure"}</h1>\n<dl>{rows}</dl>\n'
        f"<h2>Traceback</h2>\n<pre>{escape(failure.traceback)}</pre>"
    )
    return _page(f"{failure.headline[:80]}: {site}", body)


def missing_page(*, site: str) -> Response:
    """Return the answer to a failure that is not there (any more): the newest 20 are kept."""
    body = f'<p><a href="/">{escape(site)}</a></p>\n<h1>There is no such failure</h1>\n<p>Only the newest are kept.</p>'
    return _page(f"No such failure: {site}", body, status=404)


def _failure_table(failures: Sequence[Failure]) -> str:
    if not failures:
        return '<p class="quiet">None. When the app raises an error, it shows here with its traceback.</p>'
    rows = "".join(
        f'<tr><td>{escape(failure.time)}</td><td class="headline"><a href="/failures/{escape(failure.id)}">'
        f"{escape(failure.headline[:300]) or 'Failure'}</a></td>"
        f"<td>{escape(f'{failure.method} {failure.path}'.strip()[:120] or failure.kind)}</td></tr>"
        for failure in failures
    )
    return f"<table><tr><th>When</th><th>What</th><th>Where</th></tr>{rows}</table>"


def _page(title: str, body: str, *, status: int = 200) -> Response:
    text = _PAGE.substitute(title=escape(title), body=body)
    return Response(text.encode("utf-8", "replace"), status_code=status, headers=_HEADERS)
