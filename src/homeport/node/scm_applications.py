"""The applications that a site's extensions have below its SCM site: their plans, and the servers that nginx has for them.

They run in the site's own sandbox, in pools like those of the site itself (decision 14).
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from homeport.model.errors import HomeportError
from homeport.model.finding import Finding, Severity
from homeport.node.configuration_files import FILE_BYTES, read_web_configs
from homeport.node.layout import NodeLayout
from homeport.node.nginx.scm_applications import Mounted
from homeport.node.nginx.scm_server import ScmSites, scm_server
from homeport.node.nginx.server import SiteServer, listen_directives, render_site
from homeport.node.nginx.writer import render
from homeport.node.tenant_files import TenantTree
from homeport.node.watcher import ContentWatcher
from homeport.webconfig import (
    ConfigurationTree,
    ContentFolder,
    HostingPlan,
    HostTransform,
    SiteFacts,
    compile_plan,
)
from homeport.webconfig.bounds import MOST_FILES
from homeport.webconfig.scm_site import ScmApplication, ScmSite, read_scm_site

_NO_WEB_CONFIG = "webconfig.none"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedApplication:
    """One application, and how it is hosted."""

    application: ScmApplication
    plan: HostingPlan


class ScmApplications:
    """All applications of one site. `changed` is told the path of one and which of its files changed."""

    def __init__(
        self,
        site: str,
        home: Path,
        watcher: ContentWatcher,
        *,
        changed: Callable[[str, frozenset[str]], None],
    ) -> None:
        self._site = site
        self._home = home
        self._watcher = watcher
        self._changed = changed
        self._watched: dict[str, tuple[str, int]] = {}
        self.all: tuple[HostedApplication, ...] = ()

    @property
    def plans(self) -> tuple[HostingPlan, ...]:
        """The plan of each."""
        return tuple(each.plan for each in self.all)

    def plan_of(self, path: str) -> HostingPlan | None:
        """Return the plan of the application at that path."""
        return next((each.plan for each in self.all if each.application.path == path), None)

    def paths(self) -> dict[str, str]:
        """Return the path of the application that each of the pools belongs to, by the pool's id."""
        paths: dict[str, str] = {}
        for each in self.all:
            paths |= dict.fromkeys((pool.id for pool in each.plan.pools), each.application.path)
            paths |= dict.fromkeys((pool.id for pool in each.plan.http_pools), each.application.path)
        return paths

    def watches(self, path: str) -> bool:
        """Tell whether there is an application at that path, hosted or left out for what is wrong with it."""
        return path in self._watched

    def compile(self, transforms: tuple[HostTransform, ...], facts: SiteFacts) -> tuple[Finding, ...]:
        """Take over what the transforms say now; returns what the owner should know."""
        scm = read_scm_site(transforms, facts)
        contents = {each: TenantTree(self._home, within=each.folder) for each in scm.applications}
        identities = {each: _identity(content) for each, content in contents.items()}
        self._watch(identities)
        findings = list(scm.findings)
        hosted = []
        bytes_left, files_left = FILE_BYTES, MOST_FILES
        for application, content in contents.items():
            folders = self._watcher.folders(self._key(application.path))
            files = read_web_configs(content, folders, most_bytes=bytes_left)
            bytes_left -= sum(map(len, files.values()))
            files_left -= len(files)
            if bytes_left <= 0 or files_left < 0:
                findings.append(_too_much(application))
                break
            plan, noted = _compiled(application, files, scm, facts, identity=identities[application])
            hosted.append(HostedApplication(application=application, plan=plan))
            findings += noted
        self.all = tuple(hosted)
        return tuple(findings)

    def close(self) -> None:
        """Watch nothing any more."""
        self._watch({})
        self.all = ()

    def _key(self, path: str) -> str:
        return f"{self._site}{path}"

    def _watch(self, identities: Mapping[ScmApplication, int]) -> None:
        wanted = {each.path: (each.folder, identity) for each, identity in identities.items()}
        for path in [path for path, place in self._watched.items() if wanted.get(path) != place]:
            self._watcher.unwatch(self._key(path))
            del self._watched[path]
        for path in wanted.keys() - self._watched.keys():
            self._watched[path] = wanted[path]
            tree = TenantTree(self._home, within=wanted[path][0])
            self._watcher.watch(self._key(path), tree, partial(self._changed, path))


def render_applications(
    server: SiteServer, applications: Sequence[HostedApplication], *, layout: NodeLayout, domain: str
) -> str:
    """Render the nginx configuration of a site's applications, given that of the site; there may be none.

    Raises `Invalid` for a value that nginx configuration cannot hold.
    """
    if not applications:
        return ""
    text = ""
    places = []
    for each in applications:
        folder = each.application.folder
        place = Mounted(path=each.application.path, folder=folder, socket="")
        place = replace(place, socket=str(layout.applications / f"{server.name}{place.label}.sock"))
        places.append(place)
        text += render_site(
            replace(
                server,
                hostnames=("_",),
                running=True,
                plan=each.plan,
                content_root=str(layout.content / server.name / "home" / folder),
                request_log=None,
                https_only=False,
                minimum_tls="1.2",
                trace_token="",
                mounted=place,
            )
        )
    door = scm_server(
        scm_sites(layout), domain, listen_directives(server), site=server.name, applications=places
    )
    return text + render([door])


def scm_sites(layout: NodeLayout) -> ScmSites:
    """Say where nginx finds SCM sites."""
    return ScmSites(
        sites_folder=str(layout.content),
        sockets_folder=str(layout.sockets),
        auth_socket=str(layout.auth_socket),
    )


def _compiled(
    application: ScmApplication, files: dict[str, bytes], scm: ScmSite, facts: SiteFacts, *, identity: int
) -> tuple[HostingPlan, list[Finding]]:
    content = ContentFolder(
        path=f"/home/{application.folder}", mounted_at=application.path, identity=identity
    )
    plan = compile_plan(
        ConfigurationTree(files=files), replace(facts, content=content, detect=None), host=scm.host
    )
    findings = [
        replace(each, file=f"{application.folder}/{each.file}") if _is_own(each, files) else each
        for each in plan.findings
        if each.code != _NO_WEB_CONFIG
    ]
    if plan.rewriting:
        findings.append(_no_rewriting(application))
    return replace(plan, rewriting=(), findings=()), findings


def _is_own(finding: Finding, files: dict[str, bytes]) -> bool:
    folder, _, name = finding.file.rpartition("/")
    return name == "web.config" and folder in files


def _identity(content: TenantTree) -> int:
    try:
        with content.folder("") as descriptor:
            return os.fstat(descriptor).st_ino
    except (HomeportError, OSError):
        return 0


def _too_much(application: ScmApplication) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        code="webconfig.too-large",
        message=f"The web.config files of the applications below the SCM site are more than {FILE_BYTES} bytes or "
        f"{MOST_FILES} files; '{application.path}' and those after it are left out.",
    )


def _no_rewriting(application: ScmApplication) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="webconfig.not-honoured",
        message=f"<rewrite> of the application '{application.path}' below the SCM site has no effect.",
        file=f"{application.folder}/web.config",
    )
