"""What the SCM process is told at its start, read once from its environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from homeport.windows.layout import Layout

DEFAULT_IDLE_SECONDS = 1200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScmOptions:
    r"""The site this process belongs to.

    `home` plays /home; `temporary` is the sandbox's own scratch folder (`TMP`), `local` the folder that plays
    `D:\local`, `system_drive` its root; `environment` is everything the process was given, the app settings among it; after `idle_seconds`
    without a request the process ends itself. `control` is the site's socket to the agent, None where there is no agent.
    """

    home: Path
    temporary: Path
    local: Path
    site: str
    hostname: str
    instance: str
    system_drive: Path = Path("/")
    idle_seconds: float = DEFAULT_IDLE_SECONDS
    control: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def layout(self) -> Layout:
        """The mapping between Windows text and this site's folders."""
        return Layout(home=str(self.home), temporary=str(self.temporary), local=str(self.local))

    @property
    def web_root(self) -> Path:
        """The folder that holds the site's content."""
        return self.home / "site/wwwroot"

    @property
    def staging(self) -> Path:
        """Where packages wait and are unpacked: below home, so that moving into the web root is a rename."""
        return self.home / "data/.homeport/zipdeploy"


def options_from_environment(environment: Mapping[str, str]) -> ScmOptions:
    """Read the options; every name has a default but HOME (Kudu reference §13)."""
    return ScmOptions(
        home=Path(environment["HOME"]).resolve(),
        temporary=Path(environment.get("TMP", "/tmp")),
        local=Path(environment.get("LOCAL_EXPANDED", "/local")),
        site=environment.get("WEBSITE_SITE_NAME", ""),
        hostname=environment.get("WEBSITE_HOSTNAME", "localhost"),
        instance=environment.get("WEBSITE_INSTANCE_ID", ""),
        idle_seconds=float(environment.get("HOMEPORT_SCM_IDLE_SECONDS", DEFAULT_IDLE_SECONDS)),
        control=Path(control) if (control := environment.get("HOMEPORT_SCM_CONTROL")) else None,
        environment=dict(environment),
    )
