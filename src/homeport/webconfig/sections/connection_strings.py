"""`<connectionStrings>`: environment variables, named as App Service names its own (IIS reference §5.2)."""

from homeport.model.finding import Finding, Severity
from homeport.webconfig.bounds import LONGEST_VALUE
from homeport.webconfig.document import Document, Element
from homeport.webconfig.merging import merged
from homeport.webconfig.reading import Fault, required
from homeport.webconfig.schema import AttributeRow, ElementRow, Support, full

TABLE = ElementRow(
    name="connectionStrings",
    support=Support.PARTIAL,
    note="Each is an environment variable of the site's processes: "
    "SQLCONNSTR_, MYSQLCONNSTR_, POSTGRESQLCONNSTR_ or CUSTOMCONNSTR_ and its name. The site's own file only.",
    attributes=(
        AttributeRow(name="configSource", support=Support.ABSENT),
        AttributeRow(name="configProtectionProvider", support=Support.ABSENT),
    ),
    children=(
        ElementRow(name="add", attributes=full("name", "connectionString", "providerName")),
        ElementRow(name="remove", attributes=full("name")),
        ElementRow(name="clear"),
    ),
)
_PREFIXES = {
    "microsoft.data.sqlclient": "SQLCONNSTR_",
    "system.data.sqlclient": "SQLCONNSTR_",
    "mysql.data.mysqlclient": "MYSQLCONNSTR_",
    "mysqlconnector": "MYSQLCONNSTR_",
    "npgsql": "POSTGRESQLCONNSTR_",
}


def read_connection_strings(document: Document) -> tuple[tuple[tuple[str, str], ...], list[Finding]]:
    """Give names and values of environment variables; no finding shows a value."""
    entries: tuple[tuple[str, str, str], ...] = ()
    findings: list[Finding] = []
    for section in document.root.named("connectionStrings"):
        try:
            entries = merged(
                section,
                entries,
                make=_entry,
                key=lambda entry: entry[1].lower(),
                removed=lambda element: required(element, "name").lower(),
            )
        except Fault as fault:
            findings.append(fault.finding(document.file))
    return tuple((prefix + name, value) for prefix, name, value in entries), findings


def misplaced_connection_strings(document: Document) -> list[Finding]:
    """Say that those of a folder or `<location>` reach no process."""
    return [
        Finding(
            severity=Severity.WARNING,
            code="webconfig.passed-over",
            message="<connectionStrings> holds for whole sites: in a <location> or in a folder it changes nothing.",
            file=document.file,
            line=element.line,
            remedy="Move it to the site's own web.config, outside <location>.",
        )
        for element in document.root.below()
        if element.name == "connectionStrings"
        and ("/" in document.file or element not in document.root.children)
    ]


def _entry(element: Element) -> tuple[str, str, str]:
    name = required(element, "name")
    value = element.get("connectionString") or ""
    if "=" in name or "\0" in name + value or len(name) > 250 or len(value) > LONGEST_VALUE:
        raise Fault(
            "invalid-value",
            "A connection string's name or value cannot be that of an environment variable.",
            line=element.line,
            remedy="Use letters, digits and underscores for the name.",
        )
    provider = (element.get("providerName") or "").strip().lower()
    return _PREFIXES.get(provider, "CUSTOMCONNSTR_"), name, value
