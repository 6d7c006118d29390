"""Sections that are known and not honoured: each is reported with its line (IIS reference §5.9)."""

from collections.abc import Sequence

from homeport.webconfig.schema import AttributeRow, ElementRow, Support


def _reported(name: str, *attributes: str, note: str = "", children: Sequence[ElementRow] = ()) -> ElementRow:
    return ElementRow(
        name=name,
        support=Support.ABSENT,
        note=note,
        attributes=tuple(AttributeRow(name=attribute, support=Support.ABSENT) for attribute in attributes),
        children=tuple(children),
    )


DYNAMIC_IP_SECURITY = _reported(
    "dynamicIpSecurity",
    "denyAction",
    "enableProxyMode",
    "enableLoggingOnlyMode",
    note="Limit clients in the application, or in front of the server.",
    children=(
        _reported("denyByConcurrentRequests", "enabled", "maxConcurrentRequests"),
        _reported("denyByRequestRate", "enabled", "maxRequests", "requestIntervalInMilliseconds"),
    ),
)

TABLES = (
    _reported(
        "applicationInitialization",
        "doAppInitAfterRestart",
        "remapManagedRequestsTo",
        "skipManagedModules",
        children=(_reported("add", "initializationPage", "hostName"),),
        note="Processes start with the first request.",
    ),
    _reported(
        "caching",
        "enabled",
        "enableKernelCache",
        "maxCacheSize",
        "maxResponseSize",
        children=(
            _reported(
                "profiles",
                children=(
                    _reported(
                        "add",
                        "extension",
                        "policy",
                        "kernelCachePolicy",
                        "duration",
                        "location",
                        "varyByQueryString",
                        "varyByHeaders",
                    ),
                    _reported("remove", "extension"),
                    _reported("clear"),
                ),
            ),
        ),
        note="Answers are not cached by the server; caching headers of applications reach clients.",
    ),
    _reported("httpLogging", "dontLog", "selectiveLogging"),
    _reported("httpTracing", note="Use the site's logs.", children=(_reported("traceUrls"),)),
    _reported(
        "serverRuntime",
        "appConcurrentRequestLimit",
        "uploadReadAheadSize",
        "maxRequestEntityAllowed",
        "enabled",
        "frequentHitThreshold",
        "frequentHitTimePeriod",
        note="maxAllowedContentLength of <requestLimits> bounds bodies, queueLength and maxInstances the requests.",
    ),
    _reported(
        "tracing",
        note="Failed requests are not traced; the site's logs and `homeport logs` tell what happened.",
        children=(
            _reported(
                "traceFailedRequests",
                children=(_reported("add", "path"), _reported("remove"), _reported("clear")),
            ),
            _reported("traceProviderDefinitions"),
        ),
    ),
)
