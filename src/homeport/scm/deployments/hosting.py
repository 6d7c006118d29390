"""What the deployed web.config files come to: findings for the log, and the Python that the site will run on.

The same compiler decides here and in the agent, so a build installs into what the handler will run on.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.model.errors import Invalid
from homeport.model.finding import Finding
from homeport.model.site import InstalledRuntime
from homeport.scm.atomic_file import read_small
from homeport.scm.content import Content, folder_names, sandbox_lister
from homeport.windows.interpreters import folder_version

if TYPE_CHECKING:
    from homeport.webconfig import HostingPlan

_VERSION = re.compile(r"^version(?:_info)?\s*=\s*(\d+)\.(\d+)(?:\.(\d+))?", re.MULTILINE)
_EXAMPLE_ID = "python3117x64"


class NoRuntime(Invalid):
    """The site has no Python; the message says how it gets one."""

    code = "NoRuntime"


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePython:
    """An interpreter in the site: its folder, and its version as far as `pyvenv.cfg` or the name tells.

    `place` is where the folder will be once it is served (None: where it is). `base` is the one that a virtual environment of
    the content belongs to.
    """

    folder: Path
    version: tuple[int, ...]
    place: Path | None = None
    base: "SitePython | None" = None

    @property
    def program(self) -> Path:
        """The interpreter itself."""
        return self.folder / "bin/python"

    def __str__(self) -> str:
        numbers = ".".join(str(number) for number in self.version)
        if self.base is not None:
            return f"the virtual environment {self.folder.name} of {self.base}"
        return f"Python {numbers} in {self.folder.name}" if numbers else f"the Python in {self.folder.name}"


def installed_pythons(home: Path) -> list[SitePython]:
    """Return the runtimes of a site: the folders directly below home that hold a Python of their own."""
    with os.scandir(home) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    return [python for name in names if (python := _python(home / name)) is not None]


def compile_content(
    home: Path,
    content: Content,
    *,
    site: str,
    app_settings: Mapping[str, str],
    staged: Callable[[Path], Path] = lambda folder: folder,
) -> tuple["HostingPlan", list[SitePython]]:
    """Compile what a site's content and transforms come to, as the agent will, with the Pythons that it has.

    `staged` gives the folder that is about to take the place of a Python's.
    """
    # Late: parsing XML is a third of a cold start, and only deployments need it.
    from homeport.webconfig import ConfigurationTree, SiteFacts, compile_plan
    from homeport.webconfig.application_host import gather_transforms
    from homeport.webconfig.bounds import MOST_BYTES
    from homeport.webconfig.detection import MOST_BYTES as MOST_SOURCE_BYTES
    from homeport.webconfig.detection import STARTUP_SCRIPT, search

    pythons = installed_pythons(home)
    facts = SiteFacts(
        site=site,
        runtimes=_runtimes(pythons),
        app_settings=app_settings,
        list_folder=sandbox_lister(
            {
                "/home": home,
                **{f"/home/{python.folder.name}": staged(python.folder) for python in pythons},
                "/home/site/wwwroot": content.root,
            }
        ),
        detect=lambda: search(
            content.names,
            partial(content.read, limit=MOST_SOURCE_BYTES),
            app_settings,
            has_script=(home / STARTUP_SCRIPT).is_file(),
        ),
    )
    transforms = gather_transforms(
        lambda path: folder_names(home / path),
        lambda path: read_small(home / path, limit=MOST_BYTES),
        app_settings,
    )
    tree = ConfigurationTree(files=content.configuration(), host_transforms=transforms)
    return compile_plan(tree, facts), pythons


def scm_site_findings(home: Path, *, site: str, app_settings: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return what is wrong with the transforms of the site's SCM site, as the agent will find it."""
    from homeport.webconfig import SiteFacts
    from homeport.webconfig.bounds import MOST_BYTES
    from homeport.webconfig.scm_site import gather_scm_transforms, read_scm_site

    transforms = gather_scm_transforms(
        lambda path: folder_names(home / path),
        lambda path: read_small(home / path, limit=MOST_BYTES),
        app_settings,
    )
    if not transforms:
        return ()
    facts = SiteFacts(
        site=site,
        runtimes=_runtimes(installed_pythons(home)),
        app_settings=app_settings,
        list_folder=sandbox_lister({"/home": home}),
    )
    return read_scm_site(transforms, facts).findings


def _runtimes(pythons: Sequence[SitePython]) -> tuple[InstalledRuntime, ...]:
    return tuple(
        InstalledRuntime(
            folder=python.folder.name,
            id=python.folder.name,
            version=".".join(map(str, python.version)),
            build="",
            base="",
        )
        for python in pythons
    )


def choose_python(plan: "HostingPlan", pythons: Sequence[SitePython], *, site: str) -> tuple[SitePython, str]:
    """Return the Python to install into, and a warning where that is not what a handler runs on.

    Raises `NoRuntime` where the site has none.
    """
    folders = {pool.runtime_folder for pool in plan.pools if pool.runtime_folder is not None}
    used = [python for python in pythons if python.folder.name in folders]
    if used:
        return used[0], ""
    if not pythons:
        wanted = next(
            (_wanted_id(finding.remedy) for finding in plan.findings if _wanted_id(finding.remedy)), ""
        )
        raise NoRuntime(
            "The site has no Python to install requirements.txt into. Add one: homeport extension add "
            f"{site} {wanted or _EXAMPLE_ID}"
        )
    newest = max(pythons, key=lambda python: python.version)
    if len(pythons) == 1:
        return newest, ""
    return (
        newest,
        f"No handler of web.config runs on one of the site's Pythons: {newest}, the newest, is used.",
    )


def packages_of(
    python: SitePython,
    plan: "HostingPlan",
    *,
    home: Path,
    staged: Callable[[Path], Path] = lambda folder: folder,
) -> Path:
    """Return the folder of the packages that a site runs with: its Python's, or its virtual environment's."""
    root = home / "site/wwwroot"
    for environment in plan.environments:
        place = home / environment
        folder = staged(root) / place.relative_to(root) if place.is_relative_to(root) else place
        return next(folder.glob("lib/python3*/site-packages"), folder)
    return staged(python.folder) / "Lib/site-packages"


def environment_for(
    python: SitePython, plan: "HostingPlan", *, app_settings: Mapping[str, str], root: Path, staged: Path
) -> SitePython | None:
    """Return the virtual environment that packages go into instead of the Python itself, None where there is none.

    It is the one that a setting names, or that a handler runs in already. `staged` is the content that will be `root`.
    Raises `Invalid` where the setting names no folder.
    """
    from homeport.webconfig.environments import SETTING, wanted_environment

    name = wanted_environment(app_settings)
    if name is None:
        raise Invalid(
            f"{SETTING} is '{app_settings.get(SETTING)}': it names a folder of the content, such as antenv."
        )
    below = "site/wwwroot/"
    path = name or next(
        (each.removeprefix(below) for each in plan.environments if each.startswith(below)), ""
    )
    if not path:
        return None
    return SitePython(folder=staged / path, version=python.version, place=root / path, base=python)


def _wanted_id(remedy: str) -> str:
    match = re.search(r"homeport extension add \S+ (\S+)", remedy)
    return match[1] if match else ""


def _python(folder: Path) -> SitePython | None:
    try:
        text = (folder / "pyvenv.cfg").read_text(errors="replace")
    except OSError:
        return None
    if not (folder / "bin/python").exists():
        return None
    match = _VERSION.search(text)
    version = tuple(int(number) for number in match.groups() if number) if match else ()
    return SitePython(folder=folder, version=version or folder_version(folder.name))
