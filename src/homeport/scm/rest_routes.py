"""The routes of the REST API beside files, commands, settings and deployments (Kudu reference §0.6)."""

from collections.abc import Callable
from pathlib import Path

from homeport.scm.agent_channel import AgentChannel
from homeport.scm.deployments.lock import DeploymentLock
from homeport.scm.deployments.store import DeploymentStore
from homeport.scm.deployments.validation import ValidationEndpoint
from homeport.scm.diagnostics.dump import DumpEndpoint
from homeport.scm.diagnostics.recent import RecentLogsEndpoint
from homeport.scm.diagnostics.runtime import RuntimeEndpoint
from homeport.scm.diagnostics.settings import DiagnosticsSettings, DiagnosticsSettingsEndpoint
from homeport.scm.extensions.endpoint import SiteExtensionsEndpoint
from homeport.scm.extensions.installed import Installed
from homeport.scm.extensions.installer import Installer
from homeport.scm.extensions.packages import ExtensionFolders
from homeport.scm.hooks import HooksEndpoint, WebHooks
from homeport.scm.http.boundary import Activity
from homeport.scm.http.routes import Endpoint, Route, route
from homeport.scm.options import ScmOptions
from homeport.scm.processes.endpoint import ProcessesEndpoint
from homeport.scm.repository import RepositoryEndpoint
from homeport.scm.settings.stack import SettingsProviders
from homeport.scm.ssh_key import SshKeyEndpoint
from homeport.scm.vfs.places import Places
from homeport.scm.zip.endpoint import ZipEndpoint


def file_routes(
    options: ScmOptions,
    *,
    places: Places,
    providers: SettingsProviders,
    is_packaged: Callable[[Path], bool],
) -> tuple[Route, ...]:
    """Return the routes that pack and unpack files."""
    archives = ZipEndpoint(options, places=places, providers=providers, is_packaged=is_packaged)
    packages = ValidationEndpoint(options, providers=providers)
    return (
        route("/api/zip{path*}", archives.read, verbs="GET HEAD", alias=True),
        route("/api/zip{path*}", archives.write, verbs="PUT", alias=True),
        route("/api/zipdeploy/validate", packages.validate, verbs="POST", alias=True),
        route("/api/wardeploy", packages.war, verbs="POST"),
        route("/api/dump", DumpEndpoint(options.home).read, verbs="", alias=True),
    )


def site_routes(
    options: ScmOptions,
    *,
    lock: DeploymentLock,
    store: DeploymentStore,
    providers: SettingsProviders,
    hooks: WebHooks,
) -> tuple[Route, ...]:
    """Return the routes about the site as a whole: repository, keys, hooks, diagnostics."""
    repository = RepositoryEndpoint(options, lock=lock, store=store, providers=providers)
    keys = SshKeyEndpoint(options.home)
    subscriptions = HooksEndpoint(hooks)
    levels = DiagnosticsSettingsEndpoint(DiagnosticsSettings(options.home))
    return (
        route("/api/scm/clean", repository.clean, verbs="POST", alias=True),
        route("/api/scm", repository.remove, verbs="DELETE", alias=True),
        route("/api/deploymentscript", repository.script),
        route("/api/sshkey", keys.read, alias=True),
        route("/api/sshkey", keys.write, verbs="PUT", alias=True),
        route("/api/sshkey", keys.delete, verbs="DELETE", alias=True),
        route("/api/hooks", subscriptions.list, alias=True),
        route("/api/hooks", subscriptions.subscribe, verbs="POST", alias=True),
        route("/api/hooks/publish/{type}", subscriptions.publish, verbs="POST", alias=True),
        route("/api/hooks/{id}", subscriptions.read, alias=True),
        route("/api/hooks/{id}", subscriptions.delete, verbs="DELETE", alias=True),
        route("/api/diagnostics/settings", levels.read_all, alias=True),
        route("/api/diagnostics/settings", levels.write, verbs="POST", alias=True),
        route("/api/diagnostics/settings/{key}", levels.read_one, alias=True),
        route("/api/diagnostics/settings/{key}", levels.delete, verbs="DELETE", alias=True),
        route("/api/diagnostics/runtime", RuntimeEndpoint(options.home).read, alias=True),
        route("/api/logs/recent", RecentLogsEndpoint(options.home).read),
    )


def process_routes(options: ScmOptions, channel: AgentChannel) -> tuple[Route, ...]:
    """Return the routes of processes under each of their three prefixes (§6)."""
    processes = ProcessesEndpoint(options, channel)
    calls: tuple[tuple[str, Endpoint, str], ...] = (
        ("", processes.list, "GET"),
        ("/{id}", processes.read, "GET"),
        ("/{id}", processes.kill, "DELETE"),
        ("/{id}/stop", processes.kill, "POST"),
        ("/{id}/dump", processes.dump, "GET"),
        ("/{id}/threads", processes.threads, "GET"),
        ("/{id}/threads/{thread}", processes.thread, "GET"),
        ("/{id}/modules", processes.modules, "GET"),
        ("/{id}/modules/{address}", processes.module, "GET"),
        ("/{id}/environments/{filter}", processes.environment, "GET"),
    )
    return tuple(
        route(prefix + below, endpoint, verbs=verbs)
        for prefix in ("/api/processes", "/api/diagnostics/processes", "/diagnostics/processes")
        for below, endpoint, verbs in calls
    )


def extension_routes(
    options: ScmOptions, *, channel: AgentChannel, providers: SettingsProviders, activity: Activity
) -> tuple[Route, ...]:
    """Return the routes of site extensions (§7.3)."""
    folders = ExtensionFolders(options.home)
    installed = Installed(options.home, folders)
    installer = Installer(options, channel=channel, providers=providers, folders=folders, installed=installed)
    extensions = SiteExtensionsEndpoint(installer, installed=installed, folders=folders, activity=activity)
    return (
        route("/api/extensionfeed", extensions.feed),
        route("/api/extensionfeed/{id}", extensions.feed_item),
        route("/api/siteextensions", extensions.list_installed),
        route("/api/siteextensions/{id}", extensions.read),
        route("/api/siteextensions/{id}", extensions.install, verbs="PUT"),
        route("/api/siteextensions/{id}", extensions.remove, verbs="DELETE"),
    )
