"""Looking a request up in a HostingPlan, as its documentation says, without nginx: an independent reader of plans."""

import fnmatch
import ipaddress
import re
from collections.abc import Collection
from urllib.parse import unquote

from homeport.webconfig import HostingPlan
from homeport.webconfig.folder_settings import FolderSettings
from homeport.webconfig.plan import AnswerOptions, FastCgi, Refuse, ResourceType, Rule, StaticFiles
from homeport.webconfig.sections.request_filtering import RequestFiltering

from .cases import Request


def answer(plan: HostingPlan, request: Request, files: Collection[str]) -> str:
    """Say who answers: `app`, `options`, `file NAME`, `listing`, `302 URL` or the status with its sub-status."""
    path, _, query = request.path.partition("?")
    decoded = unquote(path)
    folders = dict.fromkeys(rule.folder for rule in plan.rules)
    inside = [folder for folder in folders if f"{decoded}/".startswith(folder)]
    folder = max(inside, key=len, default="/")
    settings = plan.settings_of(folder)
    refused = (
        _filtered(settings.request_filtering, request, decoded, query)
        or _visitor(settings, request)
        or _redirected(settings, path, query)
    )
    if refused:
        return refused
    kind = _kind(decoded, files)
    for rule in plan.rules:
        if rule.folder == folder and _matches(rule, request.method, decoded, kind):
            return _action(rule, settings, request, decoded, files)
    return "404.0"


def _filtered(filtering: RequestFiltering, request: Request, path: str, query: str) -> str:
    extension = re.search(r"\.[^./]*\Z", path)
    suffix = extension[0].lower() if extension else "."
    extensions = dict(filtering.file_extensions.entries)
    allowed_url = path.lower().lstrip("/") in {url.lstrip("/") for url in filtering.always_allowed_urls}
    headers = {name.lower(): value for name, value in request.headers.items()}
    checks = {
        "404.10": any(len(headers.get(name, "")) > size for name, size in filtering.header_limits),
        "404.14": len(path.encode()) > filtering.max_url,
        "404.15": len(query) > filtering.max_query_string,
        "404.6": not dict(filtering.verbs.entries).get(request.method, filtering.verbs.allow_unlisted),
        "404.11": not filtering.allow_double_escaping and bool(re.search("[+]|%[0-9a-fA-F]{2}", path)),
        "404.12": not filtering.allow_high_bit_characters and not path.isascii(),
        "404.5": not allowed_url and any(one in path.lower() for one in filtering.deny_url_sequences),
        "404.18": query.lower() not in filtering.always_allowed_query_strings
        and any(one in unquote(query).lower() for one in filtering.deny_query_string_sequences),
        "404.8": any(part in filtering.hidden_segments for part in re.split(r"[/\\]", path.lower())),
        "404.7": not extensions.get(suffix, filtering.file_extensions.allow_unlisted),
        "404.19": any(
            (not rule.applies_to or suffix in rule.applies_to)
            and any(
                (rule.scan_url and one in path.lower())
                or (rule.scan_query_string and one in unquote(query).lower())
                or any(one in headers.get(name, "").lower() for name in rule.scan_headers)
                for one in rule.deny_strings
            )
            for rule in filtering.rules
        ),
        "404.13": request.body_bytes > filtering.max_content_length,
    }
    return next((status for status, holds in checks.items() if holds), "")


def _visitor(settings: FolderSettings, request: Request) -> str:
    security, access = settings.ip_security, settings.access
    client = ipaddress.ip_address("127.0.0.1")
    allowed = next(
        (allows for network, allows in security.written if client in ipaddress.ip_network(network)),
        security.allow_unlisted,
    )
    if not allowed:
        return {
            "Forbidden": "403.6",
            "Unauthorized": "401.503",
            "NotFound": "404.0",
            "AbortRequest": "closed",
        }[security.deny_action.value]
    if access.encrypted:
        return "403.4"
    if access.certificate:
        return "403.7"
    denied = {"*", request.method} & set(access.denied_verbs)
    permitted = {"*", request.method} & set(access.allowed_verbs)
    return "" if access.anonymous and permitted and not denied else "401.2"


def _redirected(settings: FolderSettings, path: str, query: str) -> str:
    redirect = settings.http_redirect
    if not redirect.enabled:
        return ""
    rest = path[len(redirect.base.rstrip("/")) :]
    pieces = {"$V": path, "$S": rest, "$P": query, "$Q": f"?{query}" if query else ""}
    for pattern, destination in redirect.wildcards:
        found = re.fullmatch(
            "(.*)".join(map(re.escape, pattern.lstrip("/").split("*"))), rest.lstrip("/"), re.IGNORECASE
        )
        if found and destination != "!":
            numbered = {f"${at}": found[at] for at in range(1, len(found.groups()) + 1)}
            return f"{redirect.status.code} {_filled(destination, pieces | numbered)}"
    if not redirect.destination or (redirect.child_only and "/" in rest.lstrip("/")):
        return ""
    if redirect.exact_destination or re.search(r"\$[SQPV]", redirect.destination):
        return f"{redirect.status.code} {_filled(redirect.destination, pieces)}"
    return f"{redirect.status.code} {redirect.destination.rstrip('/')}{rest}{pieces['$Q']}"


def _filled(destination: str, pieces: dict[str, str]) -> str:
    return re.sub(r"\$[SQPV0-9]", lambda found: pieces.get(found[0], ""), destination)


def _kind(path: str, files: Collection[str]) -> str:
    name = path.strip("/")
    if not path.endswith("/") and name in files:
        return "F"
    return "D" if not name or any(file.startswith(f"{name}/") for file in files) else "N"


def _matches(rule: Rule, method: str, path: str, kind: str) -> bool:
    types = {
        ResourceType.FILE: "F",
        ResourceType.DIRECTORY: "D",
        ResourceType.EITHER: "FD",
        ResourceType.UNSPECIFIED: "FDN",
    }
    if kind not in types[rule.resource_type] or not {"*", method} & set(rule.verbs):
        return False
    pattern = rule.path.lower().lstrip("/")
    inside = f"{path.lower()}/".removeprefix(rule.base.lower())[:-1]
    if pattern == "*":
        return True
    if "/" in pattern:
        return fnmatch.fnmatchcase(inside, pattern)
    if pattern == "*.":
        return "." not in inside.rpartition("/")[2]
    if "*" in pattern or "?" in pattern:
        return fnmatch.fnmatchcase(inside.rpartition("/")[2], pattern)
    return pattern in inside.split("/")


def _action(rule: Rule, settings: FolderSettings, request: Request, path: str, files: Collection[str]) -> str:
    match rule.action:
        case FastCgi():
            return "app"
        case AnswerOptions():
            return "options"
        case Refuse(status=status, sub_status=sub_status):
            return f"{status}.{sub_status}"
        case StaticFiles(default_documents=documents):
            return _static(documents, settings, request, path, files)
    return type(rule.action).__name__


def _static(
    documents: tuple[str, ...],
    settings: FolderSettings,
    request: Request,
    path: str,
    files: Collection[str],
) -> str:
    if request.method not in {"GET", "HEAD"}:
        return "405.0"
    if _kind(path, files) == "D":
        if not path.endswith("/"):
            return f"301 {path}/"
        for document in documents:
            if path.strip("/") + "/" * (path != "/") + document in files:
                return f"document {document}"
        return "listing" if settings.directory_browse else "403.14"
    if _kind(path, files) != "F":
        return "404.0"
    types = dict(settings.static_content.mime_types)
    extension = re.search(r"\.[^./]*\Z", path)
    if not {extension[0].lower() if extension else ".", ".*"} & types.keys():
        return "404.3"
    return "file"
