"""The virtual environment of a site that its Python runs in, where a deployment made one (Kudu reference §12.5, §12.8).

Kudu made `env` in the content, Oryx `antenv`. Here the site's Python itself holds the packages unless an app setting names a
folder of the content, or web.config names an environment that is there.
"""

import re
from collections.abc import Mapping

from homeport.model.site import InstalledRuntime
from homeport.webconfig.plan import SiteFacts
from homeport.windows.interpreters import Interpreter, InterpreterKind
from homeport.windows.layout import Layout
from homeport.windows.paths import map_path

SETTING = "HOMEPORT_VIRTUAL_ENVIRONMENT"
"""The app setting that names the folder."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_HOME = "/home/"


def wanted_environment(app_settings: Mapping[str, str]) -> str | None:
    """Give the folder's name in the content, empty where there is to be none, None where the setting names no folder."""
    name = app_settings.get(SETTING, "").strip()
    return name if not name or _NAME.fullmatch(name) else None


def environment_of(runtime: InstalledRuntime, facts: SiteFacts) -> str:
    """Give the environment that a Python of the site runs in: a folder below /home, empty for none."""
    name = wanted_environment(facts.app_settings)
    folder = f"{facts.content.path.removeprefix(_HOME)}/{name}"
    return folder if name and _belongs(folder, runtime, facts) else ""


def named_environment(interpreter: Interpreter, facts: SiteFacts) -> tuple[InstalledRuntime, str] | None:
    """Give the environment that web.config names, with its Python; None where it is none that runs here."""
    if interpreter.kind is not InterpreterKind.ENVIRONMENT:
        return None
    path = (
        map_path(f"/home/{interpreter.folder}", Layout(), variables={}, list_folder=facts.list_folder).posix
        or ""
    )
    folder = path.removeprefix(_HOME)
    return next(((each, folder) for each in facts.runtimes if _belongs(folder, each, facts)), None)


def _belongs(folder: str, runtime: InstalledRuntime, facts: SiteFacts) -> bool:
    """Tell whether a folder below /home is an environment for Linux, of that minor version."""
    minor = ".".join(runtime.version.split(".")[:2])
    wanted = {"": "pyvenv.cfg", "/bin": "python", "/lib": f"python{minor}"}
    if facts.list_folder is None:
        return False
    return all(name in (facts.list_folder(f"{_HOME}{folder}{below}") or ()) for below, name in wanted.items())
