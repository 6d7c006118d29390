"""Settings merged from providers: the site's own file, app settings, a deployment's file, defaults.

Kudu reference §5.1. Names are compared without case; the provider of higher priority wins.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from homeport.model.errors import Invalid
from homeport.scm.settings.site_file import SiteSettings

_PREFIX = "APPSETTING_"
DEFAULTS: Final[Mapping[str, str]] = {
    "deployment_branch": "master",
    "SCM_TRACE_LEVEL": "1",
    "SCM_COMMAND_IDLE_TIMEOUT": "60",
    "SCM_LOGSTREAM_TIMEOUT": "7200",
    "SCM_BUILD_ARGS": "",
}
_TRUE = frozenset({"1", "true", "yes", "on"})
_NUMBER = re.compile(r"\d{1,9}")


class Settings:
    """One merged view; names without case."""

    def __init__(self, *layers: Mapping[str, str]) -> None:
        """Merge the layers, the strongest first."""
        self._values: dict[str, tuple[str, str]] = {}
        for layer in reversed(layers):
            for name, value in layer.items():
                self._values[name.casefold()] = (name, value)

    def get(self, name: str) -> str | None:
        """Return a value, None where it is absent or empty (an empty value hides nothing)."""
        found = self._values.get(name.casefold())
        return found[1] or None if found else None

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a switch: `1` and `true` are on, whatever else is written is off."""
        value = self.get(name)
        return default if value is None else value.strip().casefold() in _TRUE

    def number(self, name: str, *, default: int) -> int:
        """Return a whole number, the default where something else is written."""
        value = (self.get(name) or "").strip()
        return int(value) if _NUMBER.fullmatch(value) else default

    def all(self) -> dict[str, str]:
        """Return every name and value, secrets included."""
        return dict(self._values.values())


class SettingsProviders:
    """The providers of one site; each view reads the site's file anew, so that a change counts at once."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self.site = SiteSettings(home / "site/deployments/settings.xml")
        self.app = {
            name.removeprefix(_PREFIX): value
            for name, value in environment.items()
            if name.startswith(_PREFIX) and name != _PREFIX
        }

    def current(
        self, *, deployment: Mapping[str, str] | None = None, defaults: Mapping[str, str] | None = None
    ) -> Settings:
        """Merge all providers; `deployment` is its `.deployment` file, `defaults` what its kind presumes."""
        return Settings(self.site.read(), self.app, deployment or {}, defaults or {}, DEFAULTS)


def setting_text(value: object) -> str:
    """Turn a JSON scalar into a setting's text, as .NET converts it; raises `Invalid` for lists and objects."""
    match value:
        case None:
            return ""
        case bool():
            return "True" if value else "False"
        case str() | int() | float():
            return str(value)
        case _:
            raise Invalid("The value of a setting is a text, a number or a boolean.", code="SettingValue")
