"""Errors in folders with pages or headers of their own (`<httpErrors>`, `<customHeaders>`)."""

from collections.abc import Sequence
from dataclasses import dataclass

from homeport.node.nginx.http_pools import POOL_ERRORS, own_errors, proxy_errors
from homeport.node.nginx.pages import (
    ERROR,
    FAILED,
    NGINX_ERRORS,
    SUB_STATUS,
    TOO_LARGE,
    answer,
    failed_location,
    owner_line,
    page,
    status_location,
    sub_status_is,
    too_large_by_rule,
    too_large_location,
)
from homeport.node.nginx.writer import Entry, If, Node, Plain, Text, Variable, block, directive
from homeport.webconfig.folder_settings import FolderSettings
from homeport.webconfig.plan import Action, AnswerOptions, ProxyToPool, Refuse, StaticFiles
from homeport.webconfig.sections.http_errors import (
    ANY_SUB_STATUS,
    ErrorPage,
    ExistingResponse,
    ResponseMode,
)
from homeport.webconfig.sections.http_protocol import FRAMING_HEADERS

_LISTING_DENIED = 14
_TOO_LARGE_SUB_STATUS = "13"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorHandling:
    """Compiles what concerns errors of one `FolderConfiguration`; `suffix` makes its names its own.

    `proxies` tells whether the site has httpPlatform pools.
    """

    site: str
    suffix: str
    settings: FolderSettings
    proxies: bool = False

    @property
    def are_own(self) -> bool:
        """Tell whether errors look otherwise here than in the rest of the platform."""
        errors = self.settings.http_errors
        return bool(self._headers or errors.pages or errors.replaces_answers)

    def has_page(self, status: int) -> bool:
        """Tell whether the site has a page of its own for some error of that status."""
        return status in self._by_status

    def looks_at(self, action: Action) -> bool:
        """Tell whether the error answers of the application behind an action may be replaced."""
        return _is_application(action) and self.settings.http_errors.replaces_answers

    def refusal(self, status: str, *, sub_status: str) -> tuple[Node, ...]:
        """Give what ends a request with an error that has a sub-status."""
        return (sub_status_is(sub_status), directive("return", status))

    def refusal_by(self, variable: Variable) -> tuple[Node, ...]:
        """Give what ends a request with 404 and the sub-status in a variable."""
        return (sub_status_is(variable), directive("return", "404"))

    def maps(self) -> list[Node]:
        """Give the choice of pages by sub-status, outside the server block."""
        return [
            self._map(status, pages)
            for status, pages in self._by_status.items()
            if any(page.sub_status != ANY_SUB_STATUS for page in pages)
        ]

    def before(self, action: Action) -> list[Node]:
        """Give what goes before the directives of an action."""
        return [own_errors(self.suffix)] if self.are_own and isinstance(action, ProxyToPool) else []

    def around(self, action: Action) -> list[Node]:
        """Give the directives that hold where an action answers; they go behind its own."""
        if not self.are_own:
            return []
        looks = self.looks_at(action)
        nodes: list[Node] = []
        if looks:
            nodes += [directive("fastcgi_intercept_errors", "on"), directive("proxy_intercept_errors", "on")]
        leave_others = looks and self.settings.http_errors.existing_response is not ExistingResponse.REPLACE
        proxied = isinstance(action, ProxyToPool)
        return [
            *nodes,
            *(proxy_errors() if proxied else [directive("error_page", "502", "504", "=", self._failed)]),
            directive("error_page", "413", "=", self._too_large),
            *self._error_pages(leave_others=leave_others),
        ]

    def locations(self) -> list[Node]:
        """Give the locations that the others refer to."""
        if not self.are_own:
            return []
        own = [str(status) for status in self._by_status]
        before: list[Node] = [*self._headers, *self._error_pages(leave_others=False)]
        before.append(sub_status_is("0"))
        if self.settings.http_errors.replaces_answers:
            answered = If(
                Variable("upstream_header_time"),
                (directive("return", "502"),),
                operator="~",
                operand=Plain("[0-9]$"),
            )
            before += [directive("error_page", "502", self._plain)] * ("502" not in own)
            before.append(answered)  # the application itself said 502 or 504
        return [
            status_location(self._plain, headers=self._headers),
            failed_location(self.site, self._failed, before=before, bare=own),
            self._too_large_location(),
            *(node for at, page in enumerate(self._pages) for node in self._page_location(at, page)),
            *(self._pool_errors() if self.proxies else []),
        ]

    def _too_large_location(self) -> Node:
        if not self.has_page(404):
            return too_large_location(self._too_large, headers=self._headers)
        around = [*self._headers, *self._error_pages(leave_others=False)]
        return block(
            "location",
            self._too_large,
            body=[too_large_by_rule(), *around, *self.refusal("404", sub_status=_TOO_LARGE_SUB_STATUS)],
        )

    def _pool_errors(self) -> list[Node]:
        """Give the locations that answer for httpPlatform pools (`POOL_ERRORS`)."""
        nodes: list[Node] = []
        for name, (status, sub_status, title, text) in POOL_ERRORS.items():
            ours = page(title, text, owner=owner_line(self.site))
            ends = (
                self.refusal(status, sub_status=sub_status)
                if self.has_page(int(status))
                else (sub_status_is(sub_status), *answer(status, ours))
            )
            around = [*self._headers, *self._error_pages(leave_others=False)]
            nodes.append(block("location", f"{name}_{self.suffix}", body=[*around, *ends]))
        return nodes

    @property
    def _pages(self) -> tuple[ErrorPage, ...]:
        return self.settings.http_errors.pages

    @property
    def _by_status(self) -> dict[int, list[ErrorPage]]:
        found: dict[int, list[ErrorPage]] = {}
        for one in self._pages:
            found.setdefault(one.status, []).append(one)
        return found

    @property
    def _headers(self) -> list[Node]:
        return custom_headers(self.settings.http_protocol.custom_headers)

    @property
    def _plain(self) -> str:
        return f"{ERROR}/{self.suffix}"

    @property
    def _failed(self) -> str:
        return f"{FAILED}_{self.suffix}"

    @property
    def _too_large(self) -> str:
        return f"{TOO_LARGE}_{self.suffix}"

    def _error_pages(self, *, leave_others: bool) -> list[Node]:
        nodes: list[Node] = []
        for status, pages in self._by_status.items():
            sub_statuses = any(page.sub_status != ANY_SUB_STATUS for page in pages)
            target: Text | Variable = self._choice(status) if sub_statuses else self._target(pages[0])
            kept = any(page.mode is ResponseMode.FILE for page in pages)
            nodes.append(directive("error_page", str(status), *([] if kept else ["="]), target))
        if not leave_others:
            others = [status for status in NGINX_ERRORS if int(status) not in self._by_status]
            nodes += [
                directive("error_page", *others, self._plain),
                directive("error_page", "494", "=400", self._plain),
            ]
        return nodes

    def _choice(self, status: int) -> Variable:
        return Variable(f"homeport_error{status}x{self.suffix}")

    def _map(self, status: int, pages: Sequence[ErrorPage]) -> Node:
        targets = {page.sub_status: self._target(page) for page in pages}
        usual = targets.pop(ANY_SUB_STATUS, Text(self._plain))
        entries = [Entry("default", (usual,))]
        if status == 403 and _LISTING_DENIED in targets:
            # nginx itself finds that there is nothing to show of a folder.
            entries.append(Entry("", (targets[_LISTING_DENIED],)))
        entries += [Entry(str(sub_status), (target,)) for sub_status, target in targets.items()]
        return block("map", SUB_STATUS, self._choice(status), body=[directive("volatile"), *entries])

    def _target(self, page: ErrorPage) -> Text:
        """Give the URL that an error leads to; IIS tells an executed one what was asked for."""
        if page.mode is not ResponseMode.EXECUTE_URL:
            return Text(f"{self._plain}/{self._pages.index(page)}")
        (path,) = page.paths
        if "?" in path:
            return Text(path)
        asked = (Variable("scheme"), "://", Variable("host"), ":", Variable("server_port"))
        return Text(f"{path}?{page.status};", *asked, Variable("request_uri"))

    def _page_location(self, at: int, page: ErrorPage) -> list[Node]:
        body: list[Node] = [directive("internal"), *self._headers]
        if page.mode is ResponseMode.FILE:
            body.append(directive("try_files", *(Text(path) for path in page.paths), self._plain))
        elif page.mode is ResponseMode.REDIRECT:
            body.append(directive("return", "302", Text(*page.paths)))
        else:
            return []
        return [block("location", "=", f"{self._plain}/{at}", body=body)]


def custom_headers(headers: Sequence[tuple[str, str]]) -> list[Node]:
    """Write headers that every answer has, whatever its status."""
    return [
        directive("add_header", Text(name), Text(value), "always")
        for name, value in headers
        if name.lower() not in FRAMING_HEADERS
    ]


def _is_application(action: Action) -> bool:
    return not isinstance(action, StaticFiles | AnswerOptions | Refuse)
