"""`<system.webServer><httpPlatform>`: web servers of the site's own, started and watched by us (IIS reference §4.1)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from homeport.model.finding import Finding, Severity
from homeport.webconfig.bounds import MOST_ENTRIES
from homeport.webconfig.document import Element
from homeport.webconfig.reading import (
    Fault,
    Range,
    boolean,
    count_entries,
    number,
    required,
    seconds,
)
from homeport.webconfig.schema import AttributeRow, ElementRow, Support, full

PORT_VARIABLE = "HTTP_PLATFORM_PORT"
_MOST_REQUEST_SECONDS = 2_592_000

TABLE = ElementRow(
    name="httpPlatform",
    attributes=(
        *full(
            "processPath",
            "arguments",
            "startupTimeLimit",
            "startupRetryCount",
            "rapidFailsPerMinute",
            "stdoutLogEnabled",
            "processesPerApplication",
        ),
        AttributeRow(
            name="requestTimeout",
            support=Support.PARTIAL,
            note="Counted between two pieces of the response, as the request goes on; seconds are honoured too.",
        ),
        AttributeRow(
            name="stdoutLogFile",
            support=Support.PARTIAL,
            note=r"Below D:\home only; its folder is made. A file ends at 10 MB and goes on as a new one.",
        ),
        AttributeRow(
            name="forwardWindowsAuthToken",
            support=Support.PARTIAL,
            note="Here nobody signs in with a Windows account, so there is no token: true is reported.",
        ),
    ),
    children=(
        ElementRow(
            name="environmentVariables",
            children=(
                ElementRow(name="environmentVariable", attributes=full("name", "value")),
                ElementRow(name="clear"),
            ),
        ),
        ElementRow(
            name="recycleOnFileChange",
            support=Support.PARTIAL,
            note="Files of the content folder only.",
            children=(ElementRow(name="file", attributes=full("path")), ElementRow(name="clear")),
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPlatform:
    """The section in force at one place; texts are as written, times in seconds.

    `folders` are the folders whose files say something here, which is what tells one application's section from
    another's. `file` and `line` are those of the innermost element.
    """

    process_path: str = ""
    arguments: str = ""
    startup_seconds: int = 120
    startup_retries: int = 10
    rapid_fails_per_minute: int = 10
    request_timeout_seconds: int = 120
    stdout_log_enabled: bool = False
    stdout_log_file: str = r".\httpplatform-stdout"
    processes: int = 1
    environment_variables: tuple[tuple[str, str], ...] = ()
    recycle_files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    file: str = ""
    line: int = 0


def apply_http_platform(section: Element, inherited: HttpPlatform, *, folder: str, file: str) -> HttpPlatform:
    """Apply one section to what it inherits, attribute by attribute. Raises `Fault`."""
    text = {
        "process_path": section.get("processPath"),
        "arguments": section.get("arguments"),
        "stdout_log_file": section.get("stdoutLogFile"),
    }
    timeout = seconds(section, "requestTimeout", default=inherited.request_timeout_seconds)
    if timeout > _MOST_REQUEST_SECONDS:
        raise Fault(
            "invalid-value",
            "'requestTimeout' of <httpPlatform> is longer than 30 days.",
            line=section.line,
        )
    boolean(section, "forwardWindowsAuthToken", default=False)
    return replace(
        inherited,
        **{name: value for name, value in text.items() if value is not None},
        startup_seconds=number(
            section, "startupTimeLimit", default=inherited.startup_seconds, within=Range(least=0, most=3600)
        ),
        startup_retries=number(
            section, "startupRetryCount", default=inherited.startup_retries, within=Range(least=0, most=100)
        ),
        rapid_fails_per_minute=number(
            section,
            "rapidFailsPerMinute",
            default=inherited.rapid_fails_per_minute,
            within=Range(least=0, most=100),
        ),
        request_timeout_seconds=timeout,
        stdout_log_enabled=boolean(section, "stdoutLogEnabled", default=inherited.stdout_log_enabled),
        processes=number(
            section, "processesPerApplication", default=inherited.processes, within=Range(least=1, most=100)
        ),
        environment_variables=_environment(section, inherited.environment_variables),
        recycle_files=_files(section, inherited.recycle_files),
        folders=(*inherited.folders, folder) if folder not in inherited.folders else inherited.folders,
        file=file,
        line=section.line,
    )


def http_platform_findings(section: Element, *, file: str) -> list[Finding]:
    """Say what of one section its owner would miss here."""
    if (section.get("forwardWindowsAuthToken") or "").strip().lower() != "true":
        return []
    return [
        Finding(
            severity=Severity.WARNING,
            code="webconfig.no-windows-sign-in",
            message="forwardWindowsAuthToken is set, and nobody signs in with a Windows account here: "
            "the application gets no X-IIS-WindowsAuthToken.",
            file=file,
            line=section.line,
            remedy="Let the application sign its users in by itself.",
        )
    ]


def _environment(section: Element, inherited: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Merge the variables; the name is the key, without case, and a second one of a name is refused."""
    pairs = {name.upper(): (name, value) for name, value in inherited}
    own: set[str] = set()
    for collection in section.named("environmentVariables"):
        count_entries(collection)
        for element in collection.children:
            if element.name == "clear":
                pairs, own = {}, set()
            elif element.name == "environmentVariable":
                name = required(element, "name")
                if element.get("value") is None:
                    required(element, "value")
                if name.upper() in own:
                    raise Fault(
                        "duplicate-key",
                        f"<environmentVariables> has '{name}' twice.",
                        line=element.line,
                        remedy="Keep one of them.",
                    )
                if "=" in name or "\0" in name:
                    raise Fault("invalid-value", f"'{name}' is no name of a variable.", line=element.line)
                own.add(name.upper())
                pairs[name.upper()] = (name, element.get("value") or "")
    return tuple(pairs.values())


def _files(section: Element, inherited: tuple[str, ...]) -> tuple[str, ...]:
    files = inherited
    for collection in section.named("recycleOnFileChange"):
        count_entries(collection)
        for element in collection.children:
            if element.name == "clear":
                files = ()
            elif element.name == "file":
                files = (*files, required(element, "path"))
    if len(files) > MOST_ENTRIES:
        raise Fault(
            "too-many-entries",
            f"<recycleOnFileChange> names more than {MOST_ENTRIES} files.",
            line=section.line,
        )
    return files
