"""The server variables that rules may read, and who may set which (IIS reference §5.7)."""

PATH_VARIABLES = frozenset({"URL", "PATH_INFO", "SCRIPT_NAME"})
"""These tell the path as rules have left it so far."""

FILE_VARIABLES = frozenset({"REQUEST_FILENAME", "SCRIPT_FILENAME", "PATH_TRANSLATED"})
"""These tell where that path is on disk."""

AS_SENT = frozenset({"REQUEST_URI", "UNENCODED_URL"})
"""These tell path and query as the client sent them, whatever rules have done."""

OF_THE_REQUEST = frozenset(
    {
        "APPL_MD_PATH",
        "APPL_PHYSICAL_PATH",
        "APP_POOL_ID",
        "AUTH_TYPE",
        "AUTH_USER",
        "CACHE_URL",
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "DOCUMENT_ROOT",
        "GATEWAY_INTERFACE",
        "HTTPS",
        "INSTANCE_ID",
        "INSTANCE_META_PATH",
        "LOCAL_ADDR",
        "LOGON_USER",
        "REMOTE_ADDR",
        "REMOTE_HOST",
        "REMOTE_PORT",
        "REMOTE_USER",
        "REQUEST_METHOD",
        "SERVER_ADDR",
        "SERVER_NAME",
        "SERVER_PORT",
        "SERVER_PORT_SECURE",
        "SERVER_PROTOCOL",
        "SERVER_SOFTWARE",
    }
)
"""These do not follow the URL."""

KNOWN = PATH_VARIABLES | FILE_VARIABLES | AS_SENT | OF_THE_REQUEST | {"QUERY_STRING"}


def is_header(name: str) -> bool:
    """Whether a variable is a request header."""
    return name.startswith("HTTP_") and len(name) > 5


STATUS = "RESPONSE_STATUS"
"""The status of the answer, in outbound rules."""


def response_header(name: str) -> str | None:
    """Give the header of the answer (lower case) that a variable is; None where it is none."""
    if not name.startswith("RESPONSE_") or len(name) == len("RESPONSE_") or name == STATUS:
        return None
    return name.removeprefix("RESPONSE_").replace("_", "-").lower()
