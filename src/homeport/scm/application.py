"""Assembles the SCM site: every part with plain constructors, and the table of routes."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from homeport.model.errors import HomeportError
from homeport.scm.agent_channel import AgentChannel
from homeport.scm.browser.assets import serve_asset
from homeport.scm.browser.live_pages import LivePages
from homeport.scm.browser.log_events import LogEvents
from homeport.scm.browser.pages import MOVED, Pages
from homeport.scm.checking.endpoint import CheckEndpoint
from homeport.scm.command import CommandEndpoint
from homeport.scm.deployments.commits import CommitDeployer
from homeport.scm.deployments.comparing import DifferenceEndpoint
from homeport.scm.deployments.deployer import Deployer
from homeport.scm.deployments.endpoint import DeploymentsEndpoint, retry_seconds
from homeport.scm.deployments.fetch_hook import FetchHook
from homeport.scm.deployments.git_http import GitEndpoint
from homeport.scm.deployments.git_repository import GitRepository
from homeport.scm.deployments.kept import KeptDeployments
from homeport.scm.deployments.lock import DeploymentLock
from homeport.scm.deployments.redeploy import Redeployer
from homeport.scm.deployments.remote_package import RemotePackageEndpoint
from homeport.scm.deployments.runs import DeploymentRuns
from homeport.scm.deployments.scmvfs import ScmVfsEndpoint
from homeport.scm.deployments.site_packages import SitePackages
from homeport.scm.deployments.store import DeploymentStore
from homeport.scm.deployments.zipdeploy import ZipDeployEndpoint
from homeport.scm.diagnosis.endpoint import WhyEndpoint
from homeport.scm.diagnosis.tracing import TraceEndpoint
from homeport.scm.extensions.packages import ExtensionFolders
from homeport.scm.hooks import WebHooks
from homeport.scm.http.boundary import Activity, Boundary
from homeport.scm.http.routes import Route, route
from homeport.scm.logstream import LogStreamEndpoint
from homeport.scm.options import ScmOptions
from homeport.scm.previews.content import PreviewContent
from homeport.scm.previews.endpoint import PreviewEndpoint
from homeport.scm.rest_routes import extension_routes, file_routes, process_routes, site_routes
from homeport.scm.settings.endpoint import SettingsEndpoint
from homeport.scm.settings.stack import SettingsProviders
from homeport.scm.site_pages import SitePages
from homeport.scm.terminal.endpoint import TerminalEndpoint
from homeport.scm.vfs.endpoint import VfsEndpoint
from homeport.scm.vfs.places import Places

_TERMINAL = "/api/homeport/terminal"
_FOLLOW_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """The ASGI application and the parts that the process looks after."""

    asgi: Boundary
    activity: Activity
    deployer: Deployer
    runs: DeploymentRuns
    store: DeploymentStore
    recover: Callable[[], None]
    """Repairs what a killed process left; called in a thread before the first request is answered."""


def _recover(store: DeploymentStore, home: Path, channel: AgentChannel) -> None:
    store.tidy()
    if ExtensionFolders(home).recover():  # the agent may have looked while the extension was away
        _follow_content(channel)


def _follow_content(channel: AgentChannel) -> None:
    """Have the agent follow the content; called in a thread. Without an answer it follows by itself, a little later."""
    with contextlib.suppress(HomeportError):
        asyncio.run(channel.ask("follow", seconds=_FOLLOW_SECONDS))


def build_application(options: ScmOptions, *, stopping: asyncio.Event) -> Application:
    """Build the site's application; `stopping` ends its endless answers."""
    activity = Activity()
    providers = SettingsProviders(options.home, options.environment)
    places = _places(options)
    lock = DeploymentLock(options.home, instance=options.instance)
    store = DeploymentStore(options.home, lock=lock)
    hooks = WebHooks(options.home)
    channel = AgentChannel(options.control)
    deployer = Deployer(
        options,
        providers=providers,
        store=store,
        hooks=hooks,
        follow_content=partial(_follow_content, channel),
    )
    retry = retry_seconds(options.environment.get("SCM_ArmRetryAfterSeconds"))
    runs = DeploymentRuns(activity)
    zipdeploy = ZipDeployEndpoint(
        deployer, lock=lock, options=options, providers=providers, runs=runs, retry_seconds=retry
    )
    commits = CommitDeployer(
        deployer,
        store=store,
        repository=GitRepository(options.home, environment=options.environment),
        providers=providers,
    )
    git = GitEndpoint(deployer, commits=commits, lock=lock, runs=runs, options=options, providers=providers)
    fetching = FetchHook(
        deployer,
        store=store,
        commits=commits,
        lock=lock,
        runs=runs,
        providers=providers,
        activity=activity,
        retry_seconds=retry,
    )
    kept = KeptDeployments(options.home, store)
    redeployer = Redeployer(deployer, kept=kept, commits=commits, runs=runs, options=options)
    differences = DifferenceEndpoint(store, kept=kept, repository=commits.repository, providers=providers)
    previews = PreviewEndpoint(
        PreviewContent(
            options,
            store=store,
            repository=commits.repository,
            providers=providers,
            checkpoint=deployer.checkpoint,
        ),
        store=store,
        lock=lock,
        channel=channel,
        activity=activity,
    )
    deployments = DeploymentsEndpoint(
        store,
        redeployer=redeployer,
        lock=lock,
        site=options.site,
        retry_seconds=retry,
        forget=previews.forget,
    )
    editing = ScmVfsEndpoint(options, commits=commits, lock=lock, runs=runs, providers=providers)
    packaged = RemotePackageEndpoint(
        deployer, packages=SitePackages(options.home), lock=lock, runs=runs, providers=providers
    )
    routes = (
        *_command_routes(CommandEndpoint(options, providers=providers, stopping=stopping)),
        *_file_routes(options, providers, places=places),
        route("/api/zipdeploy", zipdeploy.push, verbs="POST PUT", alias=True),
        route("/api/publish", zipdeploy.publish, verbs="POST PUT", alias=True),
        route("/api/homeport/package", packaged.refresh, verbs="POST"),
        *_deployment_routes(deployments),
        route("/api/homeport/deployments/{id}/diff", differences.compare),
        *_preview_routes(previews),
        *_git_routes(git, fetching),
        *_repository_routes(editing),
        *_settings_routes(SettingsEndpoint(providers, lock=lock)),
        *site_routes(options, lock=lock, store=store, providers=providers, hooks=hooks),
        *process_routes(options, channel),
        *extension_routes(options, channel=channel, providers=providers, activity=activity),
        route("/api/homeport/check", CheckEndpoint(options, providers=providers).check),
        *_site_routes(SitePages(options)),
        *_page_routes(Pages(options, providers=providers, store=store, places=places)),
        *_why_routes(WhyEndpoint(options, providers=providers, channel=channel)),
        *_live_routes(LivePages(options, store=store, channel=channel)),
        route("/api/homeport/logs", LogEvents(options.home, stopping=stopping).stream),
        *_trace_routes(TraceEndpoint(options, providers=providers, channel=channel)),
        route(
            "/api/logstream{path*}",
            LogStreamEndpoint(options.home, providers=providers, stopping=stopping).stream,
            verbs="",
            alias=True,
        ),
    )
    terminal = TerminalEndpoint(options, providers=providers, stopping=stopping)
    return Application(
        asgi=Boundary(routes, activity=activity, websockets={_TERMINAL: terminal.serve}),
        activity=activity,
        deployer=deployer,
        runs=runs,
        store=store,
        recover=partial(_recover, store, options.home, channel),
    )


def _command_routes(command: CommandEndpoint) -> tuple[Route, ...]:
    return (
        route("/api/command", command.run, verbs="POST", alias=True),
        route("/api/homeport/command", command.stream, verbs="POST"),
    )


def _places(options: ScmOptions) -> Places:
    special = {"SystemDrive": options.system_drive, "LocalSiteRoot": options.local} if options.site else {}
    known = {name: path for name, path in special.items() if path.is_dir()}
    return Places(options.layout, special=known)


def _file_routes(options: ScmOptions, providers: SettingsProviders, *, places: Places) -> tuple[Route, ...]:
    packages = SitePackages(options.home)

    def is_packaged(path: Path) -> bool:
        return packages.covers(path, providers.current())

    vfs = VfsEndpoint(places, is_packaged=is_packaged)
    return (
        *file_routes(options, places=places, providers=providers, is_packaged=is_packaged),
        route("/api/vfs{path*}", vfs.read, verbs="GET HEAD", alias=True),
        route("/api/vfs{path*}", vfs.write, verbs="PUT", alias=True),
        route("/api/vfs{path*}", vfs.delete, verbs="DELETE", alias=True),
    )


def _repository_routes(editing: ScmVfsEndpoint) -> tuple[Route, ...]:
    return (
        route("/api/scmvfs{path*}", editing.read, verbs="GET HEAD", alias=True),
        route("/api/scmvfs{path*}", editing.write, verbs="PUT", alias=True),
        route("/api/scmvfs{path*}", editing.delete, verbs="DELETE", alias=True),
    )


def _deployment_routes(deployments: DeploymentsEndpoint) -> tuple[Route, ...]:
    return (
        route("/api/deployments", deployments.list, alias=True),
        route("/api/deployments", deployments.put_head, verbs="PUT", alias=True),
        route("/api/deployments/{id}", deployments.read, alias=True),
        route("/api/deployments/{id}", deployments.put, verbs="PUT", alias=True),
        route("/api/deployments/{id}", deployments.remove, verbs="DELETE", alias=True),
        route("/api/deployments/{id}/log", deployments.log, alias=True),
        route("/api/deployments/{id}/log/{log_id}", deployments.log_details, alias=True),
    )


def _preview_routes(previews: PreviewEndpoint) -> tuple[Route, ...]:
    return (
        route("/api/homeport/previews", previews.list),
        route("/api/homeport/deployments/{id}/preview", previews.read),
        route("/api/homeport/deployments/{id}/preview", previews.start, verbs="POST"),
        route("/api/homeport/deployments/{id}/preview", previews.end, verbs="DELETE"),
    )


def _git_routes(git: GitEndpoint, fetching: FetchHook) -> tuple[Route, ...]:
    return (
        route("/deploy", fetching.look),
        route("/deploy", fetching.deploy, verbs="POST"),
        route("/git{path*}", git.any_repository, verbs="GET POST"),
        route("/info/refs", git.references),
        route("/git-upload-pack", git.upload_pack, verbs="POST"),
        route("/git-receive-pack", git.receive_pack, verbs="POST"),
        route("/{repository}.git/info/refs", git.references),
        route("/{repository}.git/git-upload-pack", git.upload_pack, verbs="POST"),
        route("/{repository}.git/git-receive-pack", git.receive_pack, verbs="POST"),
    )


def _settings_routes(settings: SettingsEndpoint) -> tuple[Route, ...]:
    return (
        route("/api/settings", settings.read_all, alias=True),
        route("/api/settings", settings.write, verbs="POST", alias=True),
        route("/api/settings/{key}", settings.read_one, alias=True),
        route("/api/settings/{key}", settings.delete, verbs="DELETE", alias=True),
    )


def _why_routes(why: WhyEndpoint) -> tuple[Route, ...]:
    return (route("/why", why.page), route("/api/homeport/why", why.as_json))


def _trace_routes(trace: TraceEndpoint) -> tuple[Route, ...]:
    return (route("/trace", trace.page), route("/api/homeport/trace", trace.trace))


def _page_routes(pages: Pages) -> tuple[Route, ...]:
    return (
        route("/", pages.home),
        route("/failures/{id}", pages.failure),
        route("/DebugConsole", pages.console),
        route("/files{path*}", pages.files),
        route("/Env", pages.environment),
        route("/api/homeport/rename", pages.rename, verbs="POST"),
        route("/assets{path*}", serve_asset),
        *(route(address, pages.redirect) for address in MOVED),
    )


def _live_routes(pages: LivePages) -> tuple[Route, ...]:
    return (
        route("/LogStream", pages.log_stream),
        route("/DeploymentCenter", pages.deployments),
        route("/DeploymentCenter/{id}", pages.deployment),
        route("/ZipDeployUI", pages.zip_push),
        route("/ProcessExplorer", pages.processes),
        route("/api/homeport/processes", pages.processes_json),
        route("/SiteExtensions", pages.extensions),
        route("/SiteExtensions/{id}", pages.extension),
    )


def _site_routes(pages: SitePages) -> tuple[Route, ...]:
    return (
        route("/api/homeport/failures", pages.failures_json),
        route("/api/homeport/failures/{id}", pages.failure_json),
        route("/api/environment", pages.environment, alias=True),
        route("/api/scm/info", pages.repository, alias=True),
    )
