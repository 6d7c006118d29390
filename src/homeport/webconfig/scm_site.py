r"""Applications below a site's SCM site: where the transforms of its extensions mount them (Kudu reference §7.2, §7.4, §7.5).

`<system.applicationHost><sites><site name="%XDT_SCMSITENAME%"><application path="/tool">` with a `virtualDirectory` for `/`.
For the SCM site a folder's scmApplicationHost.xdt counts, and its applicationHost.xdt where it has no such file.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from homeport.model.finding import Finding, Severity
from homeport.webconfig.application_host import (
    FILE,
    SITE_TRANSFORM,
    ApplicationHost,
    gather_transforms,
    read_changes,
    scm_site_name,
    transform_variables,
    transformed,
)
from homeport.webconfig.bounds import MOST_FINDINGS, bounded_expand
from homeport.webconfig.document import Document, Element
from homeport.webconfig.plan import HostTransform, SiteFacts
from homeport.windows.layout import Layout
from homeport.windows.paths import map_path

MOST_APPLICATIONS = 20
"""Applications below one SCM site."""
_OWN_ADDRESSES = """
    api assets basicauth command commandstream commits continuouswebjobs debugconsole default.cshtml deploy deploymentcenter
    deployments detectors diagnostics dump env env.cshtml environment extensionfeed failures files functions git
    git-receive-pack git-upload-pack hooks hub info jobs logout logs logstream logstream.cshtml newui processes
    processexplorer publish scm scmvfs settings siteextensions sshkey support trace triggeredwebjobs vfs wardeploy
    webjobs webssh why zip zipdeploy zipdeployui
"""
RESERVED = frozenset(_OWN_ADDRESSES.split())
"""First names of addresses that are the SCM site's own, in lower case."""
_SCM_TRANSFORM = "scmapplicationhost.xdt"
_PATH = re.compile(r"(?:/[A-Za-z0-9_~][A-Za-z0-9._~-]{0,63}){1,4}")
_WRITTEN = re.compile(
    r"""<application\b[^<>]{0,500}?\spath\s{0,9}=\s{0,9}(?P<quote>["'])(?P<path>[^"'<>]{0,500})(?P=quote)"""
)
_HOME = "/home/"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScmApplication:
    """One application: its path on the SCM site (`/tool`), and its folder relative to /home."""

    path: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScmSite:
    """What the transforms make of a site's SCM site; `host` is what holds for all its applications."""

    applications: tuple[ScmApplication, ...] = ()
    host: ApplicationHost = field(default_factory=ApplicationHost)
    findings: tuple[Finding, ...] = ()


def gather_scm_transforms(
    names: Callable[[str], Iterable[str] | None],
    read: Callable[[str], bytes | None],
    app_settings: Mapping[str, str],
) -> tuple[HostTransform, ...]:
    """Collect the transforms for the SCM site, as `gather_transforms` does those for the site."""
    return gather_transforms(names, read, app_settings, files=(_SCM_TRANSFORM, SITE_TRANSFORM))


def read_scm_site(transforms: tuple[HostTransform, ...], facts: SiteFacts) -> ScmSite:
    """Apply the transforms and read the applications; what is wrong with one leaves that one out, with a finding."""
    if not transforms:
        return ScmSite()
    before, after, findings = transformed(transforms, facts)
    if before is None or after is None:
        return ScmSite(findings=tuple(findings))
    host = read_changes(before, after, findings, facts)
    reading = _Reading(transforms, facts)
    applications = reading.applications(after)
    return ScmSite(
        applications=applications,
        host=replace(host, findings=()),
        findings=(*host.findings, *reading.findings),
    )


class _Reading:
    """Reads the applications of one configuration."""

    def __init__(self, transforms: tuple[HostTransform, ...], facts: SiteFacts) -> None:
        self._transforms = transforms
        self._facts = facts
        self._places: dict[str, tuple[str, int, int]] | None = None
        self.findings: list[Finding] = []

    def applications(self, document: Document) -> tuple[ScmApplication, ...]:
        found: dict[str, ScmApplication] = {}
        for element in _applications(document, scm_site_name(self._facts)):
            path = (element.get("path") or "").rstrip("/")
            if not path:
                continue  # the SCM site's own
            if len(self.findings) >= MOST_FINDINGS:
                break
            problem = self._refusal(path, found)
            application = None if problem else self._application(path, element)
            if problem:
                self._note(path, Severity.ERROR, "scm-path", *problem)
            elif application is not None:
                found[path.lower()] = application
        return tuple(found.values())

    def _refusal(self, path: str, found: Mapping[str, ScmApplication]) -> tuple[str, str] | None:
        """Say what is wrong with a path and what to do about it; None: nothing."""
        first = path.lower().split("/")[1] if path.startswith("/") else ""
        if not _PATH.fullmatch(path):
            return (
                f"'{path[:100]}' cannot be the path of an application below the SCM site.",
                "Use one like /tool: at most four names of letters, digits, '-', '_', '.' and '~'.",
            )
        if first in RESERVED or first.endswith(".git"):
            return (
                f"An application at '{path}' would hide addresses of the SCM site itself; it is left out.",
                f"Choose another path than /{first}.",
            )
        if path.lower() in found:
            return (
                f"'{path}' is the path of another application already; this one is left out.",
                "Choose another path.",
            )
        if len(found) == MOST_APPLICATIONS:
            return f"An SCM site has at most {MOST_APPLICATIONS} applications; '{path}' is left out.", ""
        return None

    def _application(self, path: str, element: Element) -> ScmApplication | None:
        directories = list(element.named("virtualDirectory"))
        root = next((each for each in directories if each.get("path") == "/"), None)
        for other in directories[:MOST_FINDINGS]:
            if other is not root:
                self._note(
                    path,
                    Severity.WARNING,
                    "not-honoured",
                    f"The virtual directory '{(other.get('path') or '')[:100]}' of '{path}' has no effect: only that of '/' has.",
                )
        written = (root.get("physicalPath") or "").strip() if root else ""
        mapped = map_path(written, Layout(), variables={}, list_folder=self._facts.list_folder)
        if not written or mapped.posix is None or not mapped.posix.startswith(_HOME):
            self._note(
                path,
                Severity.ERROR,
                "unmapped-path",
                f"The application '{path}' has no folder below D:\\home: its physicalPath is '{written[:200]}'.",
                'Give it <virtualDirectory path="/" physicalPath="%XDT_EXTENSIONPATH%"/>.',
            )
            return None
        if self._facts.list_folder is not None and self._facts.list_folder(mapped.posix) is None:
            self._note(
                path,
                Severity.ERROR,
                "missing-folder",
                f"The folder '{written[:200]}' of the application '{path}' is not there, or is a link.",
                "Put it there, or correct physicalPath; then restart the site.",
            )
            return None
        return ScmApplication(path=path, folder=mapped.posix.removeprefix(_HOME))

    def _note(self, path: str, severity: Severity, code: str, message: str, remedy: str = "") -> None:
        file, line, column = self._place(path)
        self.findings.append(
            Finding(
                severity=severity,
                code=f"webconfig.{code}",
                message=message,
                file=file,
                line=line,
                column=column,
                remedy=remedy,
            )
        )

    def _place(self, path: str) -> tuple[str, int, int]:
        """Find where the application is written: the last transform that names its path."""
        if self._places is None:
            self._places = {}
            for transform in self._transforms:
                self._places |= _written(transform, self._facts)
        return self._places.get(path, (FILE, 0, 0))


def _written(transform: HostTransform, facts: SiteFacts) -> dict[str, tuple[str, int, int]]:
    """Give file, line and column of the applications in a transform, by their paths."""
    text = transform.data.decode("utf-8-sig", errors="replace")
    variables = transform_variables(transform, facts)
    places: dict[str, tuple[str, int, int]] = {}
    line, seen = 1, 0
    for match in _WRITTEN.finditer(text):
        start = match.start()
        line, seen = line + text.count("\n", seen, start), start
        path = bounded_expand(match["path"], variables) if "%" in match["path"] else match["path"]
        places[(path or "").rstrip("/")] = transform.file, line, start - text.rfind("\n", 0, start)
    return places


def _applications(document: Document, site: str) -> Iterator[Element]:
    for group in document.root.named("system.applicationHost"):
        for sites in group.named("sites"):
            for each in sites.named("site"):
                if each.get("name") == site:
                    yield from each.named("application")
