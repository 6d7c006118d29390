"""The whole of web.config: which sections there are, and what of them is honoured (IIS reference §1.2, §5)."""

from homeport.webconfig.schema import AttributeRow, ElementRow, Support, absent, full, irrelevant
from homeport.webconfig.sections import (
    app_settings,
    default_document,
    fast_cgi,
    handlers,
    http_protocol,
    request_filtering,
    rewrite,
    static_content,
)

_WEB_SERVER = ElementRow(
    name="system.webServer",
    children=(
        handlers.TABLE,
        fast_cgi.TABLE,
        default_document.DEFAULT_DOCUMENT_TABLE,
        default_document.DIRECTORY_BROWSE_TABLE,
        http_protocol.TABLE,
        http_protocol.WEB_SOCKET_TABLE,
        ElementRow(
            name="security",
            children=(
                request_filtering.TABLE,
                *absent("access", "authentication", "authorization", "dynamicIpSecurity", "ipSecurity"),
            ),
        ),
        static_content.TABLE,
        rewrite.TABLE,
        *absent(
            "applicationInitialization",
            "aspNetCore",
            "caching",
            "httpCompression",
            "httpErrors",
            "httpLogging",
            "httpPlatform",
            "httpRedirect",
            "modules",
            "serverRuntime",
            "urlCompression",
        ),
        *irrelevant(
            "asp",
            "cgi",
            "globalModules",
            "iisnode",
            "isapiFilters",
            "management",
            "odbcLogging",
            "serverSideInclude",
            "tracing",
            "validation",
            "webdav",
        ),
    ),
)

_SECTIONS = (
    app_settings.TABLE,
    _WEB_SERVER,
    ElementRow(
        name="connectionStrings",
        support=Support.ABSENT,
        note="Nothing in a Python site reads it; use app settings.",
    ),
    *irrelevant(
        "configProtectedData",
        "configSections",
        "dataConfiguration",
        "entityFramework",
        "mscorlib",
        "runtime",
        "startup",
        "system.codedom",
        "system.data",
        "system.diagnostics",
        "system.identityModel",
        "system.net",
        "system.runtime.caching",
        "system.runtime.serialization",
        "system.serviceModel",
        "system.transactions",
        "system.web",
        "system.web.extensions",
        "system.web.webPages.razor",
        "system.windows.forms",
        "system.xml.serialization",
        "uri",
    ),
)

TABLE = ElementRow(
    name="configuration",
    children=(
        *_SECTIONS,
        ElementRow(
            name="location",
            attributes=(
                *full("path"),
                AttributeRow(name="overrideMode", support=Support.ABSENT),
                AttributeRow(name="allowOverride", support=Support.ABSENT),
                AttributeRow(
                    name="inheritInChildApplications",
                    support=Support.IRRELEVANT,
                    note="A site here is one application.",
                ),
            ),
            children=_SECTIONS,
        ),
    ),
)
