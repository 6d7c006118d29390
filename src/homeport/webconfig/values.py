r"""Windows paths in settings, rewritten for Linux (IIS reference §10.4 rules 6 to 8, §3.4).

Known path settings are always mapped; other values only where the whole value is a path of the site.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from homeport.model.finding import Finding, Severity
from homeport.model.site import InstalledRuntime
from homeport.webconfig.bounds import LONGEST_VALUE, MOST_PATHS, bounded_expand
from homeport.webconfig.plan import CONTENT_ROOT, SiteFacts
from homeport.windows.interpreters import InterpreterKind, recognise_site_packages
from homeport.windows.layout import Layout
from homeport.windows.pathlist import split_path_list
from homeport.windows.paths import ListFolder, Rule, is_windows_path, map_path
from homeport.windows.variables import windows_variables

_PATHS = frozenset({"WSGI_LOG", "WSGI_ALT_VIRTUALENV_ACTIVATE_THIS"})
_REFERENCE = re.compile(r"%\w+%")
_SITE_RULES = frozenset({Rule.HOME, Rule.HOME_EXPANDED, Rule.TEMPORARY, Rule.LOCAL})
_LAYOUT = Layout()


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedValue:
    """A value for Linux, and what its owner should know; findings have neither file nor line yet."""

    text: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueMapper:
    """Maps the values of one site. `variables` are what `%NAME%` may mean in a PYTHONPATH, as Windows text."""

    variables: Mapping[str, str]
    runtime: InstalledRuntime | None = None
    list_folder: ListFolder | None = None

    def setting(self, key: str, value: str) -> MappedValue:
        """Map one app setting; the list in a PYTHONPATH keeps its `;`, because our worker splits it."""
        name = key.upper()
        if len(value) > LONGEST_VALUE:
            return MappedValue(text=value, findings=(_too_long(key),))
        if name == "PYTHONPATH":
            return self._path_list(value, separator=";")
        return self._path(key, value) if name in _PATHS else self.whole(value)

    def environment(self, name: str, value: str) -> MappedValue:
        """Map one environment variable of a process: lists are for Linux to split, at `:`."""
        expanded = bounded_expand(value, self.variables)
        if expanded is None:
            return MappedValue(text=value, findings=(_too_long(name),))
        if name.upper() in {"PYTHONPATH", "PATH"}:
            return self._path_list(expanded, separator=":")
        return self._path(name, expanded) if name.upper() in _PATHS else self.whole(expanded)

    def whole(self, value: str) -> MappedValue:
        """Map a value that is nothing but a path of the site; leave every other alone."""
        if not value or not is_windows_path(value) or ";" in value or "\n" in value:
            return MappedValue(text=value)
        mapped = map_path(value, _LAYOUT, variables={}, list_folder=self.list_folder)
        return MappedValue(text=mapped.posix if mapped.rule in _SITE_RULES and mapped.posix else value)

    def _path(self, key: str, value: str) -> MappedValue:
        if not value.strip():
            return MappedValue(text=value)
        expanded = bounded_expand(value, self.variables)
        if expanded is None:
            return MappedValue(text=value, findings=(_too_long(key),))
        mapped = map_path(
            expanded, _LAYOUT, variables={}, list_folder=self.list_folder, directory=CONTENT_ROOT
        )
        if mapped.posix is None:
            return MappedValue(text=value, findings=(_unmapped(key, value),))
        return MappedValue(text=mapped.posix)

    def _path_list(self, value: str, *, separator: str) -> MappedValue:
        texts: list[str] = []
        findings: list[Finding] = []
        expanded = bounded_expand(value, self.variables)
        if expanded is None or expanded.count(";") > MOST_PATHS:
            return MappedValue(text=value, findings=(_too_long("PYTHONPATH"),))
        for item in split_path_list(expanded):
            mapped = self._item(item)
            texts.append(mapped.text)
            findings += mapped.findings
        return MappedValue(text=separator.join(texts), findings=tuple(findings))

    def _item(self, item: str) -> MappedValue:
        if _REFERENCE.search(item):
            # A variable that only the running process knows: the worker expands it (IIS reference §3.4).
            return MappedValue(text=item.replace("\\", "/"))
        packages = recognise_site_packages(item, _LAYOUT, variables={})
        if packages and self.runtime and packages[0].kind is not InterpreterKind.ENVIRONMENT:
            rest = f"/{packages[1]}" if packages[1] else ""
            return MappedValue(text=f"/home/{self.runtime.folder}/Lib/site-packages{rest}")
        mapped = map_path(item, _LAYOUT, variables={}, list_folder=self.list_folder, directory=CONTENT_ROOT)
        if mapped.posix is None:
            return MappedValue(text=item, findings=(_unmapped("PYTHONPATH", item),))
        return MappedValue(text=mapped.posix)


def content_file(
    written: str, *, variables: Mapping[str, str], facts: SiteFacts, directory: str
) -> str | None:
    """Give the path of a file of the content relative to it, None for every other one.

    `directory` is the Linux folder to which a relative path is relative.
    """
    text = (bounded_expand(written, variables) or "").strip()
    if not text:
        return None
    mapped = map_path(text, _LAYOUT, variables={}, list_folder=facts.list_folder, directory=directory)
    path, content = mapped.posix or "", f"{facts.content.path}/"
    if not path.startswith(content) or any(ord(one) < 32 for one in path):
        return None
    return path.removeprefix(content)


def known_variables(
    app_settings: Mapping[str, str], configured: tuple[tuple[str, str], ...] = ()
) -> dict[str, str]:
    """Give what `%NAME%` means while web.config is read: its own settings, then the site's, then App Service's."""
    folded = {name.upper(): value for name, value in windows_variables(_LAYOUT).items()}
    for name, value in _both(app_settings, configured):
        folded[name.upper()] = value
    return folded


def _both(
    app_settings: Mapping[str, str], configured: tuple[tuple[str, str], ...]
) -> Iterator[tuple[str, str]]:
    yield from app_settings.items()
    yield from ((key, value) for key, value in configured if key.upper() != "PYTHONPATH")


def _too_long(key: str) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        code="webconfig.value-too-long",
        message=f"The value of {key} is longer than the {LONGEST_VALUE} characters that Windows allows; "
        "it stays as it is written.",
    )


def _unmapped(key: str, value: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="webconfig.unmapped-path",
        message=f"{key} names '{value}', which has no counterpart here; it stays as it is written.",
        remedy=r"Use a path below D:\home.",
    )
