"""`<system.webServer><fastCgi>`: how many processes answer, and for how long (IIS reference §2.1)."""

from dataclasses import dataclass

from homeport.webconfig.document import Element
from homeport.webconfig.plan import PoolSettings
from homeport.webconfig.reading import Fault, Range, boolean, count_entries, number, required, word
from homeport.webconfig.schema import AttributeRow, ElementRow, Support, full

_SECONDS = Range(least=10, most=2_592_000)

TABLE = ElementRow(
    name="fastCgi",
    support=Support.PARTIAL,
    note="Only in the site's own web.config, outside <location>.",
    children=(
        ElementRow(
            name="application",
            attributes=(
                *full(
                    "fullPath",
                    "arguments",
                    "maxInstances",
                    "idleTimeout",
                    "activityTimeout",
                    "requestTimeout",
                    "instanceMaxRequests",
                    "signalBeforeTerminateSeconds",
                    "queueLength",
                    "rapidFailsPerMinute",
                ),
                AttributeRow(
                    name="stderrMode",
                    support=Support.PARTIAL,
                    note="What a program writes to its error stream goes to the site's log in every mode.",
                ),
                AttributeRow(
                    name="protocol",
                    support=Support.PARTIAL,
                    note="Programs are reached by a Unix socket in either mode.",
                ),
                AttributeRow(
                    name="flushNamedPipe",
                    support=Support.PARTIAL,
                    note="Output is passed on as it is written, as with true.",
                ),
                AttributeRow(
                    name="monitorChangesTo", support=Support.PARTIAL, note="Files of the content folder only."
                ),
            ),
            children=(
                ElementRow(
                    name="environmentVariables",
                    children=(ElementRow(name="environmentVariable", attributes=full("name", "value")),),
                ),
            ),
        ),
    ),
)


EXTENSION_SETTINGS = PoolSettings(
    max_instances=16,
    idle_timeout_seconds=21600,
    instance_max_requests=10_000_000,
    signal_before_terminate_seconds=60,
)
"""What the Python site extensions register for themselves (IIS reference §7.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One `<application>`: its key as written, and its element, from which settings are read over their defaults."""

    full_path: str
    arguments: str
    element: Element
    environment_variables: tuple[tuple[str, str], ...] = ()

    def settings(self, defaults: PoolSettings) -> PoolSettings:
        """Read the attributes that are written; the others keep their defaults. Raises `Fault`."""
        return _settings(self.element, defaults)


def read_applications(section: Element) -> tuple[Application, ...]:
    """Read a `<fastCgi>`. Raises `Fault` for a pair that is there twice and for wrong values."""
    count_entries(section)
    found: dict[tuple[str, str], Application] = {}
    for element in section.named("application"):
        application = Application(
            full_path=required(element, "fullPath"),
            arguments=element.get("arguments") or "",
            element=element,
            environment_variables=_environment(element),
        )
        application.settings(PoolSettings())
        key = (application.full_path.casefold(), application.arguments.casefold())
        if key in found:
            raise Fault(
                "duplicate-key",
                f"<fastCgi> has '{application.full_path}' with the same arguments twice.",
                line=element.line,
                remedy="Keep one of them.",
            )
        found[key] = application
    return tuple(found.values())


def _settings(element: Element, defaults: PoolSettings) -> PoolSettings:
    boolean(element, "flushNamedPipe", default=False)
    return PoolSettings(
        max_instances=number(
            element, "maxInstances", default=defaults.max_instances, within=Range(least=0, most=10_000)
        ),
        idle_timeout_seconds=number(
            element, "idleTimeout", default=defaults.idle_timeout_seconds, within=_SECONDS
        ),
        activity_timeout_seconds=number(
            element, "activityTimeout", default=defaults.activity_timeout_seconds, within=_SECONDS
        ),
        request_timeout_seconds=number(
            element, "requestTimeout", default=defaults.request_timeout_seconds, within=_SECONDS
        ),
        instance_max_requests=number(
            element,
            "instanceMaxRequests",
            default=defaults.instance_max_requests,
            within=Range(least=1, most=10_000_000),
        ),
        queue_length=number(
            element, "queueLength", default=defaults.queue_length, within=Range(least=1, most=100_000_000)
        ),
        rapid_fails_per_minute=number(
            element,
            "rapidFailsPerMinute",
            default=defaults.rapid_fails_per_minute,
            within=Range(least=0, most=1000),
        ),
        signal_before_terminate_seconds=number(
            element,
            "signalBeforeTerminateSeconds",
            default=defaults.signal_before_terminate_seconds,
            within=Range(least=0, most=60),
        ),
        stderr_mode=word(element, "stderrMode", default=defaults.stderr_mode),
    )


def _environment(element: Element) -> tuple[tuple[str, str], ...]:
    return tuple(
        (required(variable, "name"), variable.get("value") or "")
        for variables in element.named("environmentVariables")
        for variable in variables.named("environmentVariable")
    )
