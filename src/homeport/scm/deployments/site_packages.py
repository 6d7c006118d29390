r"""Run from package: `data\SitePackages` and the content that a package hides (Kudu reference §3.6).

App Service mounts the package over wwwroot. Here wwwroot holds exactly what the package holds, and what was there
before is kept aside as shared files until the setting is gone.
"""

import contextlib
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from homeport.scm.deployments.trees import remove_tree, share_tree
from homeport.scm.settings.stack import Settings

_MOST_PACKAGES = 5


def package_setting(settings: Settings) -> str:
    """Return `1`, an address, or nothing: where the content comes from."""
    text = settings.get("WEBSITE_RUN_FROM_PACKAGE") or settings.get("WEBSITE_RUN_FROM_ZIP") or ""
    return "" if text.strip() == "0" else text.strip()


class SitePackages:
    """The packages that a site runs from."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "data/SitePackages"
        self._hidden = home / "data/.homeport/under-package"
        self._web_root = home / "site/wwwroot"

    def covers(self, path: Path, settings: Settings) -> bool:
        """Tell whether what is at a path comes from a package: it is read-only then."""
        return (
            path.is_relative_to(self._web_root)
            and self.hidden() is not None
            and bool(package_setting(settings))
        )

    def current(self) -> Path | None:
        """Return the package that the content is, None where it is not one or the package is gone."""
        try:
            name = (self._folder / "packagename.txt").read_text(errors="replace")[:200].strip()
        except OSError:
            return None
        place = self._folder / Path(name).name
        return place if self.hidden() is not None and place.is_file() else None

    def hidden(self) -> Path | None:
        """Return the content that a package hides, None where none does."""
        return self._hidden if self._hidden.is_dir() else None

    def hide(self, *, checkpoint: Callable[[], None]) -> None:
        """Keep what wwwroot holds, once, before a package takes its place."""
        if self._hidden.exists():
            return
        aside = self._hidden.with_name("under-package.new")
        remove_tree(aside)
        share_tree(self._web_root, aside, checkpoint=checkpoint)
        aside.rename(self._hidden)

    def forget_hidden(self) -> None:
        """Remove what was kept: it is served again."""
        remove_tree(self._hidden)

    def add(self, package: Path, *, most: int) -> str:
        """Make a package the one that the site runs from, and return its name; older ones go."""
        self._folder.mkdir(parents=True, exist_ok=True)
        name = datetime.now(UTC).strftime("%Y%m%d%H%M%S") + ".zip"
        place = self._folder / name
        place.unlink(missing_ok=True)
        aside = self._folder / f".{name}"
        shutil.copyfile(package, aside)
        aside.replace(place)
        (self._folder / ".packagename.txt").write_text(name)
        (self._folder / ".packagename.txt").replace(self._folder / "packagename.txt")
        others = sorted((path for path in self._folder.glob("*.zip") if path != place), key=os.path.getmtime)
        for path in others[: max(0, len(others) - max(most, 1) + 1)]:
            with contextlib.suppress(OSError):
                path.unlink()
        return name


def most_packages(settings: Settings) -> int:
    """Return how many packages are kept (`SCM_MAX_ZIP_PACKAGE_COUNT`)."""
    return settings.number("SCM_MAX_ZIP_PACKAGE_COUNT", default=_MOST_PACKAGES)
