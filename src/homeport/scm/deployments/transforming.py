"""`web.<configuration>.config` at a deployment, as Visual Studio applies it when it publishes (IIS reference §6.5)."""

import re
from pathlib import Path

from homeport.model.finding import Finding
from homeport.scm.deployments.python_build import BuildFailed

_CONFIGURATION = re.compile(
    r"""(?:^|[\s"';])[/-]p(?:roperty)?:Configuration=(?P<name>[\w.-]+)""", re.IGNORECASE
)
_MOST_BYTES = 1024 * 1024


def build_configuration(build_args: str | None) -> str:
    """Return the configuration that SCM_BUILD_ARGS names (`/p:Configuration=Release`), empty where it names none."""
    match = _CONFIGURATION.search(build_args or "")
    return match["name"] if match else ""


def transform_web_config(folder: Path, configuration: str) -> tuple[str, tuple[Finding, ...]]:
    """Apply the transform of a configuration to a folder's web.config; give its name and its findings.

    The name is empty where the folder has no such transform, or no web.config. Raises `BuildFailed` where the
    transform fails: the web.config is then as it was.
    """
    from homeport.webconfig.xdt import apply_transform  # late: parsing XML is slow to load

    names = {path.name.lower(): path for path in folder.iterdir() if path.is_file() and not path.is_symlink()}
    config, transform = names.get("web.config"), names.get(f"web.{configuration}.config".lower())
    if config is None or transform is None:
        return "", ()
    result = apply_transform(
        _read(config), _read(transform), source_file=config.name, transform_file=transform.name
    )
    if not result.succeeded or result.data is None:
        raise BuildFailed(
            "\n".join([f"{transform.name} could not be applied to web.config.", *map(str, result.findings)])
        )
    config.write_bytes(result.data)
    return transform.name, result.findings


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES + 1)
