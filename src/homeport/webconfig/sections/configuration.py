"""The whole of web.config: which sections there are, and what of them is honoured (IIS reference §1.2, §5)."""

from homeport.webconfig.schema import AttributeRow, ElementRow, Support, absent, full, irrelevant
from homeport.webconfig.sections import (
    app_settings,
    compression,
    connection_strings,
    default_document,
    fast_cgi,
    handlers,
    http_errors,
    http_platform,
    http_protocol,
    http_redirect,
    reported,
    request_filtering,
    rewrite,
    security,
    static_content,
)

_WEB_SERVER = ElementRow(
    name="system.webServer",
    children=(
        handlers.TABLE,
        fast_cgi.TABLE,
        http_platform.TABLE,
        default_document.DEFAULT_DOCUMENT_TABLE,
        default_document.DIRECTORY_BROWSE_TABLE,
        compression.HTTP_COMPRESSION_TABLE,
        compression.URL_COMPRESSION_TABLE,
        http_errors.TABLE,
        http_protocol.TABLE,
        http_redirect.TABLE,
        http_protocol.WEB_SOCKET_TABLE,
        ElementRow(
            name="security",
            children=(
                request_filtering.TABLE,
                security.ACCESS_TABLE,
                security.AUTHENTICATION_TABLE,
                security.AUTHORIZATION_TABLE,
                security.IP_SECURITY_TABLE,
                reported.DYNAMIC_IP_SECURITY,
                *irrelevant("applicationDependencies", "isapiCgiRestriction"),
            ),
        ),
        static_content.TABLE,
        rewrite.TABLE,
        *absent("aspNetCore"),
        *reported.TABLES,
        ElementRow(
            name="modules",
            support=Support.IRRELEVANT,
            note="The modules here cannot be added or removed; .NET ones do not run.",
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
            "validation",
            "webdav",
        ),
    ),
)

_SECTIONS = (
    app_settings.TABLE,
    _WEB_SERVER,
    connection_strings.TABLE,
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
                *full("path", "overrideMode", "allowOverride"),
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
