"""The plain pages that nginx answers with by itself: short, self-contained, naming no internals."""

import html
from collections.abc import Collection, Sequence

from homeport.node.nginx.rule_names import rule_name, taken_by
from homeport.node.nginx.writer import Directive, If, Node, Plain, Text, Variable, block, directive

RETRY_AFTER_SECONDS = 10

ERROR = "/.homeport/error"
FAILED = "@homeport_failed"
TOO_LARGE = "@homeport_too_large"
SUB_STATUS = Variable("homeport_sub_status")
"""The sub-status of an error (IIS reference §5.10) for pages and logs; empty where it is not known."""
NGINX_ERRORS = ("400", "401", "403", "404", "405", "414", "416", "500", "501", "503")

STATUS_TEXTS = {
    "400": ("Bad request", "The server could not understand this request."),
    "401": ("Sign-in needed", "You have to sign in to see this address."),
    "403": ("Forbidden", "You may not see this address."),
    "404": ("Not found", "There is nothing at this address, or it may not be served."),
    "405": ("Method not allowed", "This address does not take requests of this kind."),
    "414": ("Address too long", "The address of this request is longer than the server accepts."),
    "416": ("Range not satisfiable", "The part that was asked for is not in the file."),
    "500": ("Server error", "The site could not answer this request."),
    "501": ("Not implemented", "The server does not know this kind of request."),
    "503": ("Service unavailable", "This cannot be answered at the moment. Try again shortly."),
}

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:36em;margin:12vh auto;padding:0 1em}"
    "h1{font-size:1.4em}code{background:#f1f1f1;padding:.1em .3em}small{color:#666}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}code{background:#2a2a2a}small{color:#999}}"
)


def page(title: str, text: str, *, owner: Text | None = None) -> Text:
    """Make a page of fixed words; `owner` is a line for the site's owner, who alone may learn the reason."""
    return _document(title, text, owner=owner)


def status_page(title: Variable, text: Variable) -> Text:
    """Make the page whose words depend on the response's status."""
    return _document(title, text)


def owner_line(site: str | Variable, *, code: str = "") -> Text:
    """Tell the owner where the reason is; `code` names the finding that explains it.

    A variable must hold the name of a site, which has no character that HTML would read.
    """
    name = site if isinstance(site, Variable) else html.escape(site)
    explained = f" ({html.escape(code)})" if code else ""
    return Text("If this is your site: <code>homeport why ", name, f"</code> tells the reason.{explained}")


def _document(title: str | Variable, text: str | Variable, *, owner: Text | None = None) -> Text:
    signature = ("<p><small>", *owner.parts, "</small></p>") if owner else ()
    return Text(
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width"><title>',
        title,
        f"</title><style>{_STYLE}</style></head><body><h1>",
        title,
        "</h1><p>",
        text,
        "</p>",
        *signature,
        "</body></html>",
    )


def sub_status_is(value: str | Variable) -> Directive:
    """Note an error's sub-status."""
    return directive("set", SUB_STATUS, value)


def answer(status: str, text: Text) -> list[Node]:
    """Make what a location needs to answer with a page."""
    return [*_as_html(), directive("return", status, text)]


def status_location(path: str = ERROR, *, headers: Sequence[Node] = ()) -> Node:
    """Make the location that puts words to an error status that nginx itself decided on.

    It is no named one: nginx cannot go to those when it could not read the address of a request.
    """
    return block(
        "location",
        "=",
        path,
        body=[
            directive("internal"),
            *headers,
            directive("add_header", "Allow", Variable("homeport_allow"), "always"),
            directive("add_header", "Retry-After", Variable("homeport_retry_after"), "always"),
            # 200 stands for nothing: error_page keeps the status that led here.
            *answer("200", status_page(Variable("homeport_title"), Variable("homeport_text"))),
        ],
    )


def failed_location(
    site: str | Variable, name: str = FAILED, *, before: Sequence[Node] = (), bare: Collection[str] = ()
) -> Node:
    """Make the location for failed applications: 500 after a connection to a process had been made, 503 before.

    After one, the process that had the request died or was ended. Without one, none could be reached: the queue is
    full, or the agent has closed the socket because the processes keep failing (IIS reference §2.3). The statuses in `bare` have no text here,
    because `before` says where pages for them are.
    """
    owner = owner_line(site)
    failed = page("Server error", "The site failed to answer this request.", owner=owner)
    busy = page(
        "Service unavailable", "The site cannot answer at the moment. Try again shortly.", owner=owner
    )
    return block(
        "location",
        name,
        body=[
            *before,
            directive("add_header", "Retry-After", Variable("homeport_retry_after"), "always"),
            *_as_html(),
            If(
                Variable("upstream_connect_time"),
                (directive("return", "500", *([] if "500" in bare else [failed])),),
                operator="~",
                operand=Plain("[0-9]$"),
            ),
            directive("return", "503", *([] if "503" in bare else [busy])),
        ],
    )


def too_large_location(name: str = TOO_LARGE, *, headers: Sequence[Node] = ()) -> Node:
    """Make the location for bodies over the limit: IIS answers 404 (404.13), not 413 (IIS reference §5.8)."""
    text = page("Not found", "The body of this request is larger than this site accepts.")
    body = [too_large_by_rule(), *headers, sub_status_is("13"), *answer("404", text)]
    return block("location", name, body=body)


def too_large_by_rule() -> Directive:
    """Note that it was `<requestFiltering>` that refused a body: nginx looks at sizes before all else."""
    return taken_by(rule_name("requestFiltering"))


def error_pages() -> list[Node]:
    """Send the errors that nginx decides on to `status_location`; an application's own answers are left alone."""
    return [
        directive("error_page", *NGINX_ERRORS, ERROR),
        directive("error_page", "494", "=400", ERROR),
    ]


def _as_html() -> list[Node]:
    # Without the empty table nginx would take the type from the extension in the URL.
    return [block("types", body=[]), directive("default_type", "text/html"), directive("charset", "utf-8")]
