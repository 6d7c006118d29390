"""The whole of web.config: which sections there are, and what of them is honoured (IIS reference §1.2, §5)."""

from homeport.webconfig.schema import AttributeRow, ElementRow, Support, absent, full, irrelevant
from homeport.webconfig.sections import app_settings, fast_cgi, handlers

DEFAULT_DOCUMENTS = (
    "Default.htm",
    "Default.html",
    "Default.asp",
    "index.htm",
    "index.html",
    "iisstart.htm",
    "default.aspx",
    "index.php",
    "hostingstart.html",
)
"""What App Service tries for a folder, in order (IIS reference §5.4)."""

_WEB_SERVER = ElementRow(
    name="system.webServer",
    children=(
        handlers.TABLE,
        fast_cgi.TABLE,
        *absent(
            "applicationInitialization",
            "aspNetCore",
            "caching",
            "defaultDocument",
            "directoryBrowse",
            "httpCompression",
            "httpErrors",
            "httpLogging",
            "httpPlatform",
            "httpProtocol",
            "httpRedirect",
            "modules",
            "rewrite",
            "security",
            "serverRuntime",
            "staticContent",
            "urlCompression",
            "webSocket",
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
