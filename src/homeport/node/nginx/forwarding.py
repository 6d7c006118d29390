"""What nginx hands on to applications and what it drops, in either direction."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from homeport.node.nginx.writer import Argument, Directive, Text, Variable, directive
from homeport.webconfig.plan import ContentFolder

IGNORED_RESPONSE_HEADERS = (
    "X-Accel-Redirect",
    "X-Accel-Expires",
    "X-Accel-Buffering",
    "X-Accel-Charset",
    "X-Accel-Limit-Rate",
)
"""Orders to nginx: an application gives none. nginx never passes them on to clients either."""

DROPPED_HEADERS = (
    "Proxy",  # becomes HTTP_PROXY, which HTTP libraries take for their own proxy setting
    "Client-IP",
    "Disguised-Host",
    "Forwarded",
    "Front-End-Https",
    "Was-Default-Hostname",
    "X-Accel-Internal",
    "X-Accel-Redirect",
    "X-ARR-ClientCert",
    "X-ARR-Log-ID",
    "X-ARR-SSL",
    "X-AppService-Proto",
    "X-Client-IP",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Proto",
    "X-Forwarded-Scheme",
    "X-Forwarded-TlsVersion",
    "X-Homeport-Site",
    "X-Homeport-User",
    "X-IIS-WindowsAuthToken",
    "X-LiveUpgrade",
    "X-MS-Client-Display-Name",
    "X-MS-Client-Principal",
    "X-MS-Client-Principal-ID",
    "X-MS-Client-Principal-IDP",
    "X-MS-Client-Principal-Name",
    "X-MS-Token-AAD-Access-Token",
    "X-MS-Token-AAD-ID-Token",
    "X-MS-Token-Facebook-Access-Token",
    "X-MS-Token-Google-Access-Token",
    "X-MS-Token-Google-ID-Token",
    "X-MS-Token-MicrosoftAccount-Access-Token",
    "X-MS-Token-Twitter-Access-Token",
    "X-Original-URL",
    "X-Real-IP",
    "X-Site-Deployment-ID",
    "X-WAWS-Unencoded-URL",
)
"""Headers that only a platform may set (IIS reference §2.5, §3.6): applications believe them, so clients' are dropped.

nginx drops headers by full name only, of at most 46 bytes, and each name costs every request some nanoseconds: the
expiry and refresh tokens of App Service's sign-in, which identify nobody, are not in the list.
"""

WORKER_PARAMETERS: Mapping[str, Argument] = {
    "REQUEST_METHOD": Variable("request_method"),
    "REQUEST_URI": Variable("request_uri"),
    "PATH_INFO": Variable("uri"),
    "QUERY_STRING": Variable("query_string"),
    "CONTENT_TYPE": Variable("content_type"),
    "CONTENT_LENGTH": Variable("content_length"),
    "REMOTE_PORT": Variable("remote_port"),
    # From here on equal for all requests of a client (homeport.worker.plain_params).
    "SERVER_PROTOCOL": Variable("server_protocol"),
    "REMOTE_ADDR": Variable("remote_addr"),
    "SERVER_NAME": Variable("host"),
    "SERVER_PORT": Variable("server_port"),
    "HTTPS": Variable("https"),
}
"""What a request says; the rest of IIS's parameters is constant for a site and known to our worker beforehand."""


def iis_parameters(*, site: str, content: ContentFolder) -> Mapping[str, Argument]:
    """Give the parameters that IIS sends (IIS reference §2.4), for programs that are not our worker."""
    physical = Text(content.path, Variable("uri"))
    return {
        **WORKER_PARAMETERS,
        "URL": Variable("uri"),
        "UNENCODED_URL": Variable("request_uri"),
        "SERVER_SOFTWARE": "Homeport",
        "SERVER_PORT_SECURE": Variable("homeport_secure"),
        "HTTPS": Variable("homeport_https"),
        "SCRIPT_NAME": Variable("uri"),
        "SCRIPT_FILENAME": physical,
        "PATH_TRANSLATED": physical,
        "REMOTE_USER": "",
        "REMOTE_HOST": Variable("remote_addr"),
        "LOGON_USER": "",
        "LOCAL_ADDR": Variable("server_addr"),
        "INSTANCE_META_PATH": "/LM/W3SVC/1",
        "INSTANCE_NAME": site.upper(),
        "INSTANCE_ID": "1",
        **dict.fromkeys(
            ("HTTPS_SERVER_SUBJECT", "HTTPS_SERVER_ISSUER", "HTTPS_SECRETKEYSIZE", "HTTPS_KEYSIZE"), ""
        ),
        "GATEWAY_INTERFACE": "CGI/1.1",
        "DOCUMENT_ROOT": Text(content.path),
        "CONTENT_LENGTH": Variable("homeport_content_length"),
        **dict.fromkeys(
            ("CERT_SUBJECT", "CERT_SERIALNUMBER", "CERT_ISSUER", "CERT_FLAGS", "CERT_COOKIE"), ""
        ),
        **dict.fromkeys(("AUTH_USER", "AUTH_PASSWORD", "AUTH_TYPE"), ""),
        "APPL_PHYSICAL_PATH": Text(f"{content.path}/"),
        "APPL_MD_PATH": f"/LM/W3SVC/1/ROOT{content.mounted_at}",
        "HTTP_X_ORIGINAL_URL": Variable("request_uri"),
        "HTTP_X_FORWARDED_FOR": Variable("homeport_forwarded_for"),
        "HTTP_X_FORWARDED_PROTO": Variable("scheme"),
    }


def dropped_headers(known: Iterable[str]) -> list[Directive]:
    """Keep clients' own headers back that only a platform may set, but for those that are set here."""
    names = {name.lower() for name in known}
    return [directive("proxy_set_header", name, "") for name in DROPPED_HEADERS if name.lower() not in names]


def fastcgi_parameters(
    parameters: Mapping[str, Argument], *, optional: Mapping[str, Argument] = MappingProxyType({})
) -> list[Directive]:
    """Write the parameters, and an empty one for each dropped header: nginx then leaves the client's out.

    The optional ones are left out where they are empty.
    """
    dropped = {f"HTTP_{name.upper().replace('-', '_')}" for name in DROPPED_HEADERS}
    dropped -= parameters.keys() | optional.keys()
    return [
        *(directive("fastcgi_param", name, value) for name, value in parameters.items()),
        *(
            directive("fastcgi_param", name, value, "if_not_empty")
            for name, value in optional.items()
            if name not in parameters
        ),
        *(directive("fastcgi_param", name, "", "if_not_empty") for name in sorted(dropped)),
    ]
