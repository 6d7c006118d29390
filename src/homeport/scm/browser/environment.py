"""What the environment page tells, with secrets left out until they are asked for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

HIDDEN = "••••••"
_LEAST_SECRET = 6
_CONNECTION = re.compile(
    r"(?:SQLCONNSTR|SQLAZURECONNSTR|MYSQLCONNSTR|POSTGRESQLCONNSTR|CUSTOMCONNSTR)_(.+)", re.IGNORECASE
)
_SETTING = "APPSETTING_"
_SECRET = re.compile(r"key|secret|passw|pwd|token|credential|connection|signature", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One table: rows of name and value."""

    id: str
    title: str
    rows: tuple[tuple[str, str], ...]


def environment_sections(
    environment: Mapping[str, str],
    settings: Mapping[str, str],
    headers: Mapping[str, str],
    *,
    system: Mapping[str, str],
    reveal: bool,
) -> tuple[Section, ...]:
    """Sort everything into the sections of Kudu's page (Kudu reference §10.1).

    Without `reveal` the values of settings, connection strings and of variables named like secrets are not in it.
    """
    connections = {
        match[1]: value for name, value in environment.items() if (match := _CONNECTION.fullmatch(name))
    }
    # A short value, such as 1, is the value of much else too.
    secret_values = {
        value for value in (*settings.values(), *connections.values()) if len(value) >= _LEAST_SECRET
    }

    def shown(name: str, value: str) -> str:
        secret = (
            value in secret_values
            or _SECRET.search(name)
            or name.startswith(_SETTING)
            or _CONNECTION.fullmatch(name)
        )
        return HIDDEN if value and secret and not reveal else value

    def hidden(values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        return tuple((name, value if reveal or not value else HIDDEN) for name, value in _sorted(values))

    path = environment.get("PATH", "").split(":")
    return (
        Section(id="system", title="System", rows=tuple(system.items())),
        Section(id="settings", title="App settings", rows=hidden(settings)),
        Section(id="connections", title="Connection strings", rows=hidden(connections)),
        Section(
            id="variables",
            title="Environment variables",
            rows=tuple((name, shown(name, value)) for name, value in _sorted(environment)),
        ),
        Section(
            id="path",
            title="PATH",
            rows=tuple((str(number), folder) for number, folder in enumerate(path, 1)),
        ),
        Section(
            id="headers",
            title="Headers of this request",
            rows=tuple((name, shown(name, value)) for name, value in _sorted(headers)),
        ),
    )


def _sorted(values: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(values.items(), key=lambda pair: pair[0].casefold())
