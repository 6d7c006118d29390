"""The HostingPlan: what a site's web.config files come to, in values that the agent compares and compiles."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from homeport.model.finding import Finding
from homeport.model.site import InstalledRuntime
from homeport.webconfig.detection import Detected
from homeport.webconfig.folder_settings import FolderSettings
from homeport.webconfig.rewriting.rules import FolderRules
from homeport.windows.paths import ListFolder

CONTENT_ROOT = "/home/site/wwwroot"
"""The site's content folder, as its processes see it."""

ANY_VERB = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFolder:
    """The content of an application: `path` as its processes see it.

    `mounted_at` is where it is below the SCM site (`/tool`), empty for the site itself. `identity` differs where another
    folder has taken its place: the processes that work in the old one are then replaced.
    """

    path: str = CONTENT_ROOT
    mounted_at: str = ""
    identity: int = 0

    @property
    def mark(self) -> str:
        """What tells the pools of one application of a site from those of another; empty for the site itself."""
        return f"|{self.mounted_at.lower()}" if self.mounted_at else ""


SITE_CONTENT = ContentFolder()


class PoolKind(StrEnum):
    """Who answers in the processes of a FastCGI pool."""

    WSGI = "wsgi"
    """Our worker, on the site's Python: the handler names wfastcgi."""
    PROGRAM = "program"
    """Any other program that speaks FastCGI on the listening socket given as descriptor 0."""


class StderrMode(StrEnum):
    """`stderrMode` of `<fastCgi><application>` (IIS reference §2.1)."""

    RETURN_STDERR_IN_500 = "ReturnStdErrIn500"
    RETURN_GENERIC_500 = "ReturnGeneric500"
    IGNORE_AND_RETURN_200 = "IgnoreAndReturn200"
    TERMINATE_PROCESS = "TerminateProcess"


class ResourceType(StrEnum):
    """What must be on disk at the URL for a rule to apply (IIS reference §1.6)."""

    FILE = "File"
    DIRECTORY = "Directory"
    EITHER = "Either"
    UNSPECIFIED = "Unspecified"


@dataclass(frozen=True, slots=True, kw_only=True)
class FastCgi:
    """Answered by a FastCGI pool; `handler`, `file` and `line` name the entry that says so."""

    pool: str
    handler: str = ""
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyToPool:
    """Answered by an httpPlatform pool; `handler`, `file` and `line` name the entry that says so."""

    pool: str
    handler: str = ""
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFiles:
    """Answered with the file at the URL; `default_documents` are tried in order for a folder."""

    default_documents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOptions:
    """OPTIONS answered by the server itself with the verbs it knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Answered with an error; `code` is the finding that explains it to the owner."""

    status: int
    sub_status: int = 0
    code: str = ""


Action = FastCgi | ProxyToPool | StaticFiles | AnswerOptions | Refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One handler in force for one folder.

    `folder` is a URL path with a slash at both ends (`/`, `/static/`), or that of a single file without its
    slashes told apart: a rule of `/static/` holds for `/static` too. `path` is the handler's pattern (IIS reference
    §1.5, without case), relative to the folder `base` that it was written for. `verbs` is `("*",)` or exact verbs.
    `handler` is the entry's name, `file` and `line` where it stands; without a file it is the platform's own.
    """

    folder: str
    path: str = "*"
    base: str = "/"
    verbs: tuple[str, ...] = (ANY_VERB,)
    resource_type: ResourceType = ResourceType.UNSPECIFIED
    action: Action
    handler: str = ""
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """The settings of one FastCGI `<application>`; `max_instances` 0: as many as make sense. The defaults are IIS's."""

    max_instances: int = 0
    idle_timeout_seconds: int = 300
    activity_timeout_seconds: int = 70
    request_timeout_seconds: int = 90
    instance_max_requests: int = 200
    queue_length: int = 1000
    rapid_fails_per_minute: int = 10
    signal_before_terminate_seconds: int = 0
    stderr_mode: StderrMode = StderrMode.RETURN_STDERR_IN_500


@dataclass(frozen=True, slots=True, kw_only=True)
class FastCgiPool(PoolSettings):
    """Processes that answer one (fullPath, arguments) pair.

    `id` is short, safe in a file name and derived from the pair alone, so it outlives every other change.
    `requested` is the program that web.config names, `program` the command line that stands for it in the sandbox
    (for `PoolKind.WSGI` the interpreter alone: the agent adds its worker). `runtime_folder` is the
    `InstalledRuntime.folder` it runs on, None for a program that is no Python; `environment` is the virtual environment
    below /home that it runs in, empty for none. `app_settings` are in document order
    with paths mapped; the last of two equal keys counts. `restart_regex` is matched against changed files below the
    content folder, written with backslashes; empty: nothing is watched. `monitored_file` is one more file, relative to
    the content folder, whose change replaces the processes.
    """

    id: str
    kind: PoolKind
    requested: str
    program: tuple[str, ...]
    runtime_folder: str | None = None
    environment: str = ""
    app_settings: tuple[tuple[str, str], ...] = ()
    restart_regex: str = ""
    monitored_file: str = ""
    environment_variables: tuple[tuple[str, str], ...] = ()
    content: ContentFolder = SITE_CONTENT

    @property
    def python_folder(self) -> str | None:
        """The folder below /home whose `bin` holds the programs of its Python."""
        return self.environment or self.runtime_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPool:
    """Web servers that listen on a port each, which they are told when they start (IIS reference §4).

    `id` is short and safe in a file name; it is derived from the folders that configure the pool, so a changed
    command line is a new generation of the same pool. `%HTTP_PLATFORM_PORT%` stands in `program` and in values of
    `environment_variables` where the port goes; a variable with an empty value is taken away. `processes` is the
    most that run at once. `stdout_log` is a prefix of file names relative to /home, None: not asked for.
    `recycle_files` are relative to the content folder; `runtime_folder` and `environment` are as in `FastCgiPool`.
    """

    id: str
    requested: str
    program: tuple[str, ...]
    runtime_folder: str | None = None
    environment: str = ""
    environment_variables: tuple[tuple[str, str], ...] = ()
    processes: int = 1
    startup_seconds: int = 120
    startup_retries: int = 10
    rapid_fails_per_minute: int = 10
    request_timeout_seconds: int = 120
    stdout_log: str | None = None
    recycle_files: tuple[str, ...] = ()
    content: ContentFolder = SITE_CONTENT

    @property
    def python_folder(self) -> str | None:
        """The folder below /home whose `bin` holds the programs of its Python."""
        return self.environment or self.runtime_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The settings of one folder (as in `Rule.folder`)."""

    folder: str
    settings: FolderSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class HostingPlan:
    """How a site is hosted; equal plans need nothing done.

    To look a request up: take the longest folder of `rules` that holds the path, and its settings; refuse what these
    filter out; else take the first of the folder's rules that matches path, verb and resource type; none means 404.
    `rules` hold deeper folders first, and every folder's list is complete. `places` hold the settings of folders
    that have rules; one without an entry has the default ones. Before all this, but behind the settings' filters,
    `rewriting` may change the URL or answer (`rewriting/evaluate.py`). `findings` are for the site's owner.
    `connection_strings` are environment variables of its processes, and secrets.
    """

    rules: tuple[Rule, ...]
    pools: tuple[FastCgiPool, ...]
    findings: tuple[Finding, ...]
    places: tuple[Place, ...] = ()
    rewriting: tuple[FolderRules, ...] = ()
    connection_strings: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    http_pools: tuple[HttpPool, ...] = ()

    @property
    def environments(self) -> tuple[str, ...]:
        """Give the virtual environments below /home that its pools run in, each once."""
        folders = [pool.environment for pool in self.pools] + [pool.environment for pool in self.http_pools]
        return tuple(dict.fromkeys(folder for folder in folders if folder))

    @property
    def runtime_folders(self) -> tuple[str, ...]:
        """Give the folders of the Pythons that its pools run on, each once."""
        folders = [pool.runtime_folder for pool in self.pools] + [
            pool.runtime_folder for pool in self.http_pools
        ]
        return tuple(dict.fromkeys(folder for folder in folders if folder is not None))

    def settings_of(self, folder: str) -> FolderSettings:
        """Give the settings of a folder of `rules`."""
        return next((place.settings for place in self.places if place.folder == folder), FolderSettings())


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTransform:
    """An applicationHost.xdt: its path below /home, and the Windows path of its extension's folder (empty: none)."""

    file: str
    data: bytes
    extension_path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationTree:
    """The web.config files of a site, by the folder that holds them: `""` for the root, `static`, `static/img`.

    `host_transforms` are its applicationHost.xdt files in the order in which they apply, `scm_transforms` those for its
    SCM site (`scm_site`).
    """

    files: Mapping[str, bytes]
    host_transforms: tuple[HostTransform, ...] = ()
    scm_transforms: tuple[HostTransform, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFacts:
    """What compiling needs to know besides the files.

    `app_settings` are the site's own settings, which are environment variables of its processes. `list_folder` names
    what is in a folder as the sandbox sees it, so that letter case can be corrected; without it spelling is exact. `detect`
    looks for the application that runs where no web.config has a handler for one; only then is it asked. `content` is
    the folder that the files are in.
    """

    site: str
    runtimes: tuple[InstalledRuntime, ...] = ()
    app_settings: Mapping[str, str] = field(default_factory=dict)
    list_folder: ListFolder | None = None
    detect: Callable[[], Detected | None] | None = None
    content: ContentFolder = SITE_CONTENT
