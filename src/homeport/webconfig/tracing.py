"""Which rule, handler and pool takes a request, and why the others do not (IIS reference §1.13): read from the plan."""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote_to_bytes

from homeport.model.finding import Finding
from homeport.webconfig.folder_settings import FolderSettings
from homeport.webconfig.plan import (
    ANY_VERB,
    CONTENT_ROOT,
    AnswerOptions,
    HostingPlan,
    Refuse,
    ResourceType,
    Rule,
    StaticFiles,
)
from homeport.webconfig.rewriting.evaluate import (
    PassedOn,
    Redirected,
    Refused,
    Request,
    RuleStep,
    evaluate_steps,
    folder_of,
)
from homeport.webconfig.rewriting.rules import Abort, Respond
from homeport.webconfig.sections.http_redirect import HttpRedirect
from homeport.webconfig.sections.request_filtering import RequestFiltering


class Verdict(StrEnum):
    """What one step said about the request."""

    PASSED = "passed"
    SKIPPED = "skipped"
    TAKEN = "taken"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedRequest:
    """The request to follow. `target` is path and query as a client sends them; header names are lower case.

    The two tests take a path below the content folder, without a slash at either end (empty: the folder itself).
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body_bytes: int = 0
    client: str = "127.0.0.1"
    secure: bool = False
    is_file: Callable[[str], bool] = lambda _: False
    is_directory: Callable[[str], bool] = lambda path: not path


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that was asked on the way: its kind, its name, what it said and why; where it is written."""

    kind: str
    name: str
    verdict: Verdict
    reason: str
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The way of a request. `path` and `query` are those that the handlers see, `folder` the one whose rules held.

    `answer` says in a few words who answers: `app`, `options`, `file`, `document NAME`, `listing`, `closed`,
    `301 ADDRESS`, or a status with its sub-status (`404.8`). `pool` is the pool's id, empty where none takes it.
    """

    method: str
    path: str
    query: str
    folder: str
    answer: str
    handler: str = ""
    pool: str = ""
    steps: tuple[Step, ...] = ()


def trace_request(plan: HostingPlan, request: TracedRequest) -> Trace:
    """Follow a request through a plan as the server does; nothing is raised for any request."""
    return _Tracer(plan, request).trace()


class _Tracer:
    def __init__(self, plan: HostingPlan, request: TracedRequest) -> None:
        self._plan = plan
        self._request = request
        raw, _, self._query = request.target.partition("?")
        self._path = unquote_to_bytes(raw).decode("utf-8", "replace")
        if not self._path.startswith("/"):
            self._path = f"/{self._path}"
        self._raw = raw
        self._outside = _climbs(self._path)
        self._path = self._asked = _without_dots(self._path)
        self._steps: list[Step] = []

    def trace(self) -> Trace:
        if self._outside:
            self._note("filter", "address", Verdict.REFUSED, "its .. lead above the site's root")
            return self._result("/", "400.0")
        folder = _folder_of(self._plan, self._path)
        settings = self._plan.settings_of(folder)
        answer = self._filtered(settings) or self._visitor(settings)
        if not answer and self._plan.rewriting:
            asked, answer = self._path, self._rewritten()
            if not answer and self._path != asked:
                # What a rule makes of an address is looked at as one that was asked for.
                folder = _folder_of(self._plan, self._path)
                settings = self._plan.settings_of(folder)
                answer = self._filtered(settings) or self._visitor(settings)
        answer = answer or self._redirected(settings)
        if answer:
            return self._result(folder, answer)
        return self._handled(folder, settings)

    def _result(self, folder: str, answer: str, *, rule: Rule | None = None, pool: str = "") -> Trace:
        self._outbound()
        return Trace(
            method=self._request.method,
            path=self._path,
            query=self._query,
            folder=folder,
            answer=answer,
            handler=rule.handler if rule else "",
            pool=pool,
            steps=tuple(self._steps),
        )

    def _outbound(self) -> None:
        """Name the rules for answers; what they do depends on an answer that is not there."""
        rules = folder_of(self._plan.rewriting, self._asked.encode("utf-8", "replace"))
        for rule in rules.outbound if rules else ():
            reason = f"it may change the header {rule.header} of the answer"
            self._note("outbound", rule.name, Verdict.PASSED, reason, file=rule.file, line=rule.line)

    def _note(
        self, kind: str, name: str, verdict: Verdict, reason: str, *, file: str = "", line: int = 0
    ) -> None:
        self._steps.append(Step(kind=kind, name=name, verdict=verdict, reason=reason, file=file, line=line))

    # Before the handlers --------------------------------------------------------------------------------------------

    def _filtered(self, settings: FolderSettings) -> str:
        found = next(_filters(settings.request_filtering, self._request, self._path, self._query), None)
        if found is None:
            self._note("filter", "requestFiltering", Verdict.PASSED, "nothing in it forbids this request")
            return ""
        sub_status, reason = found
        self._note("filter", "requestFiltering", Verdict.REFUSED, reason)
        return f"404.{sub_status}"

    def _rewritten(self) -> str:
        outcome, steps = evaluate_steps(self._plan.rewriting, self._rewrite_request())
        self._steps += _rule_steps(steps)
        match outcome:
            case PassedOn(path=path, query=query):
                self._path = path.decode("utf-8", "replace")
                self._query = query.decode("utf-8", "replace")
                return ""
            case Redirected(status=status, location=location):
                return f"{status} {location.decode('ascii', 'replace')}"
            case Respond(status=status, sub_status=sub_status):
                return f"{status}.{sub_status}"
            case Abort():
                return "closed"
            case Refused():
                return "400.0"

    def _rewrite_request(self) -> Request:
        headers = {
            f"HTTP_{name.upper().replace('-', '_')}": value.encode("utf-8", "replace")
            for name, value in self._request.headers.items()
        }
        https = b"on" if self._request.secure else b"off"
        client = self._request.client.encode()
        return Request(
            path=self._path.encode("utf-8", "replace"),
            query=self._query.encode("utf-8", "replace"),
            target=self._request.target.encode("utf-8", "replace"),
            variables=headers
            | {
                "REQUEST_METHOD": self._request.method.encode("ascii", "replace"),
                "HTTPS": https,
                "REMOTE_ADDR": client,
                "SERVER_NAME": headers.get("HTTP_HOST", b"").partition(b":")[0],
            },
            is_file=lambda path: self._request.is_file(_below(path)),
            is_directory=lambda path: self._request.is_directory(_below(path)),
        )

    def _visitor(self, settings: FolderSettings) -> str:
        security, access = settings.ip_security, settings.access
        client = ipaddress.ip_address(self._request.client)
        decided = next((each for each in security.written if _holds(each[0], client)), None)
        if not (decided[1] if decided else security.allow_unlisted):
            why = f"'{decided[0]}' is denied" if decided else "addresses that are not listed are denied"
            self._note("visitor", "ipSecurity", Verdict.REFUSED, f"{self._request.client}: {why}")
            answers = {"Forbidden": "403.6", "Unauthorized": "401.503", "NotFound": "404.0"}
            return answers.get(security.deny_action.value, "closed")
        if access.encrypted and not self._request.secure:
            self._note("visitor", "access", Verdict.REFUSED, "sslFlags asks for HTTPS")
            return "403.4"
        if access.certificate:
            self._note("visitor", "access", Verdict.REFUSED, "sslFlags asks for a client certificate")
            return "403.7"
        verbs = {ANY_VERB, self._request.method}
        if not access.anonymous or verbs & set(access.denied_verbs) or not verbs & set(access.allowed_verbs):
            self._note("visitor", "authorization", Verdict.REFUSED, "visitors who are not signed in may not")
            return "401.2"
        return ""

    def _redirected(self, settings: FolderSettings) -> str:
        address = redirect_address(settings.http_redirect, path=self._raw, query=self._query)
        if not address:
            return ""
        self._note("redirect", "httpRedirect", Verdict.TAKEN, f"it sends visitors to {address}")
        return f"{settings.http_redirect.status.code} {address}"

    # Handlers -------------------------------------------------------------------------------------------------------

    def _handled(self, folder: str, settings: FolderSettings) -> Trace:
        taken: Rule | None = None
        for rule in self._plan.rules:
            if rule.folder != folder:
                continue
            if taken is not None:
                reason = f"'{taken.handler or 'the one before'}' took the request before it"
                self._note("handler", rule.handler, Verdict.SKIPPED, reason, file=rule.file, line=rule.line)
                continue
            mismatch = self._mismatch(rule)
            if mismatch:
                self._note("handler", rule.handler, Verdict.SKIPPED, mismatch, file=rule.file, line=rule.line)
                continue
            taken = rule
            self._note("handler", rule.handler, Verdict.TAKEN, _fit(rule), file=rule.file, line=rule.line)
        if taken is None:
            self._note("handler", "", Verdict.REFUSED, f"no handler of {folder} is for this request")
            return self._result(folder, "404.0")
        answer, pool = self._answer(taken, settings)
        return self._result(folder, answer, rule=taken, pool=pool)

    def _mismatch(self, rule: Rule) -> str:
        """Say why a handler is not for this request, nothing where it is."""
        if not path_matches(rule, self._path):
            return f"its path '{rule.path}' does not match {self._path}"
        if ANY_VERB not in rule.verbs and self._request.method not in rule.verbs:
            return f"it is for {', '.join(rule.verbs)}, not for {self._request.method}"
        kind = self._kind()
        wanted = {
            ResourceType.FILE: ("F", "a file"),
            ResourceType.DIRECTORY: ("D", "a folder"),
            ResourceType.EITHER: ("FD", "a file or a folder"),
            ResourceType.UNSPECIFIED: ("FDN", ""),
        }[rule.resource_type]
        if kind not in wanted[0]:
            there = {"F": "a file", "D": "a folder", "N": "nothing"}[kind]
            return f"it is for {wanted[1]} (resourceType), and there is {there} at {self._path}"
        return ""

    def _kind(self) -> str:
        below = self._path.strip("/")
        if not self._path.endswith("/") and self._request.is_file(below):
            return "F"
        return "D" if self._request.is_directory(below) else "N"

    def _finding(self, code: str, folder: str) -> Finding | None:
        """Find what made a folder refuse: the finding of the innermost file that holds there."""
        found = [
            each
            for each in self._plan.findings
            if code
            and each.code == code
            and folder.startswith(f"/{each.file.rpartition('/')[0]}".rstrip("/") + "/")
        ]
        return max(found, key=lambda each: len(each.file), default=None)

    def _answer(self, rule: Rule, settings: FolderSettings) -> tuple[str, str]:
        match rule.action:
            case AnswerOptions():
                return "options", ""
            case Refuse(status=status, sub_status=sub_status, code=code):
                reason = f"answered with {status}" + (f" because of {code}" if code else "")
                cause = (
                    next((each for each in self._plan.findings if each.code == code), None) if code else None
                )
                place = cause or rule
                self._note("answer", rule.handler, Verdict.REFUSED, reason, file=place.file, line=place.line)
                return f"{status}.{sub_status}", ""
            case StaticFiles(default_documents=documents):
                return self._static(documents, settings), ""
            case _:
                pool = rule.action.pool
                self._note(
                    "pool", pool, Verdict.TAKEN, "its processes answer", file=rule.file, line=rule.line
                )
                return "app", pool

    def _static(self, documents: tuple[str, ...], settings: FolderSettings) -> str:
        answer, reason = self._file(documents, settings)
        refused = re.fullmatch(r"40\d\.\d+", answer)
        self._note("file", "StaticFile", Verdict.REFUSED if refused else Verdict.TAKEN, reason)
        return answer

    def _file(self, documents: tuple[str, ...], settings: FolderSettings) -> tuple[str, str]:
        if self._request.method not in {"GET", "HEAD"}:
            return "405.0", f"files are for GET and HEAD, not for {self._request.method}"
        below = self._path.strip("/")
        if self._kind() == "D":
            if not self._path.endswith("/"):
                return f"301 {self._path}/", "a folder's address ends with a slash"
            for document in documents:
                if self._request.is_file(f"{below}/{document}".lstrip("/")):
                    return f"document {document}", f"{document} is the folder's default document"
            if settings.directory_browse:
                return "listing", "directoryBrowse is on, and the folder has no default document"
            return "403.14", "the folder has no default document, and directoryBrowse is off"
        if self._kind() != "F":
            return "404.0", f"there is no file {below}; letter case counts"
        extension = re.search(r"\.[^./]*\Z", self._path)
        ending = extension[0].lower() if extension else "."
        if not {ending, ".*"} & dict(settings.static_content.mime_types).keys():
            what = f"the extension '{ending}' has" if extension else "a file without extension has"
            return "404.3", f"{what} no type in staticContent"
        return "file", f"the file {below} is sent"


def path_matches(rule: Rule, path: str) -> bool:
    """Tell whether a handler's path fits (IIS reference §1.5); letter case does not count."""
    inside = f"{path.lower()}/"
    base = rule.base.lower()
    if not inside.startswith(base):
        return False
    inside = inside[len(base) :].removesuffix("/") if not path.endswith("/") else inside[len(base) : -1]
    pattern = rule.path.lower().lstrip("/")
    if pattern == "*":
        return True
    if "/" in pattern:
        return _fits(pattern, inside)
    if pattern == "*.":
        return "." not in inside.rpartition("/")[2]
    if "*" in pattern or "?" in pattern:
        return _fits(pattern, inside.rpartition("/")[2])
    return pattern in inside.split("/")


def _fits(pattern: str, text: str) -> bool:
    parts = {"*": ".*", "?": "."}
    expression = "".join(parts.get(character) or re.escape(character) for character in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def redirect_address(redirect: HttpRedirect, *, path: str, query: str) -> str:
    """Give the address that httpRedirect sends a request to, empty where it leaves it alone (IIS reference §5.6)."""
    if not redirect.enabled:
        return ""
    rest = path[len(redirect.base.rstrip("/")) :]
    pieces = {"$V": path, "$S": rest, "$P": query, "$Q": f"?{query}" if query else ""}
    for pattern, destination in redirect.wildcards:
        expression = "(.*)".join(map(re.escape, pattern.lstrip("/").split("*")))
        found = re.fullmatch(expression, rest.lstrip("/"), re.IGNORECASE)
        if found and destination != "!":
            numbered = {f"${at}": found[at] for at in range(1, len(found.groups()) + 1)}
            return _filled(destination, pieces | numbered)
    if not redirect.destination or (redirect.child_only and "/" in rest.lstrip("/")):
        return ""
    if redirect.exact_destination or re.search(r"\$[SQPV]", redirect.destination):
        return _filled(redirect.destination, pieces)
    return f"{redirect.destination.rstrip('/')}{rest}{pieces['$Q']}"


def _filled(destination: str, pieces: Mapping[str, str]) -> str:
    return re.sub(r"\$[SQPV0-9]", lambda found: pieces.get(found[0], ""), destination)


def _filters(
    filtering: RequestFiltering, request: TracedRequest, path: str, query: str
) -> Iterator[tuple[int, str]]:
    """Yield each sub-status that requestFiltering refuses the request with, and why, in the order of the server."""
    lower, plain_query = path.lower(), unquote_to_bytes(query).decode("utf-8", "replace").lower()
    extension = re.search(r"\.[^./]*\Z", path)
    suffix = extension[0].lower() if extension else "."
    for name, limit in filtering.header_limits:
        if len(request.headers.get(name, "")) > limit:
            yield 10, f"the header {name} is longer than {limit} bytes (headerLimits)"
    if len(path.encode("utf-8", "replace")) > filtering.max_url:
        yield 14, f"the path is longer than {filtering.max_url} bytes (maxUrl)"
    if len(query) > filtering.max_query_string:
        yield 15, f"the query is longer than {filtering.max_query_string} bytes (maxQueryString)"
    if not dict(filtering.verbs.entries).get(request.method, filtering.verbs.allow_unlisted):
        yield 6, f"the verb {request.method} is not allowed (verbs)"
    if not filtering.allow_double_escaping and re.search("[+]|%[0-9a-fA-F]{2}", path):
        yield 11, "the path is escaped twice or holds a + (allowDoubleEscaping)"
    if not filtering.allow_high_bit_characters and not path.isascii():
        yield 12, "the path holds a character beyond ASCII (allowHighBitCharacters)"
    if lower.lstrip("/") not in {url.lstrip("/") for url in filtering.always_allowed_urls}:
        for sequence in filtering.deny_url_sequences:
            if sequence in lower:
                yield 5, f"the path holds '{sequence}' (denyUrlSequences)"
    if query.lower() not in filtering.always_allowed_query_strings:
        for sequence in filtering.deny_query_string_sequences:
            if sequence in plain_query:
                yield 18, f"the query holds '{sequence}' (denyQueryStringSequences)"
    for part in re.split(r"[/\\]", lower):
        if part in filtering.hidden_segments:
            yield 8, f"'{part}' is hidden (hiddenSegments)"
    if not dict(filtering.file_extensions.entries).get(suffix, filtering.file_extensions.allow_unlisted):
        yield 7, f"the extension '{suffix}' is not allowed (fileExtensions)"
    for rule in filtering.rules:
        if rule.applies_to and suffix not in rule.applies_to:
            continue
        for text in rule.deny_strings:
            scanned = [lower] if rule.scan_url else []
            scanned += [plain_query] if rule.scan_query_string else []
            scanned += [request.headers.get(name, "").lower() for name in rule.scan_headers]
            if any(text in each for each in scanned):
                yield 19, f"it holds '{text}' (filteringRule '{rule.name}')"
    if request.body_bytes > filtering.max_content_length:
        yield 13, f"the body is longer than {filtering.max_content_length} bytes (maxAllowedContentLength)"


def _rule_steps(steps: tuple[RuleStep, ...]) -> Iterator[Step]:
    for step in steps:
        what = type(step.rule.action).__name__
        after = step.path.decode("utf-8", "replace")
        reason = {
            "RewriteTo": f"it matched; the path is now {after}",
            "RedirectTo": "it matched and sends the visitor elsewhere",
            "Respond": "it matched and answers by itself",
            "Abort": "it matched and closes the connection",
        }.get(what, "it matched and leaves the address alone")
        yield Step(
            kind="rewrite",
            name=step.rule.name,
            verdict=Verdict.TAKEN if step.matched else Verdict.SKIPPED,
            reason=reason if step.matched else f"its pattern or conditions do not match {after}",
            file=step.rule.file,
            line=step.rule.line,
        )


def _without_dots(path: str) -> str:
    """Resolve `.` and `..` in a path, as the server does before anything looks at it."""
    parts: list[str] = []
    names = path.split("/")[1:]
    for at, name in enumerate(names):
        last = at == len(names) - 1
        if name == "..":
            del parts[-1:]
        elif name != ".":
            parts.append(name)
            continue
        if last:
            parts.append("")
    return "/" + "/".join(parts)


def _climbs(path: str) -> bool:
    depth = 0
    for name in path.split("/")[1:]:
        depth += {"..": -1, ".": 0}.get(name, 1)
        if depth < 0:
            return True
    return False


def _folder_of(plan: HostingPlan, path: str) -> str:
    folders = dict.fromkeys(rule.folder for rule in plan.rules)
    return max((folder for folder in folders if f"{path}/".startswith(folder)), key=len, default="/")


def _below(path: bytes) -> str:
    return path.decode("utf-8", "replace").removeprefix(CONTENT_ROOT).strip("/")


def _holds(network: str, client: "ipaddress.IPv4Address | ipaddress.IPv6Address") -> bool:
    return client in ipaddress.ip_network(network)


def _fit(rule: Rule) -> str:
    verbs = "any verb" if ANY_VERB in rule.verbs else ", ".join(rule.verbs)
    return f"path '{rule.path}' and {verbs} match"
