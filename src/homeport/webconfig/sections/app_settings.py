"""`<appSettings>` as wfastcgi reads it, which is not as .NET does (IIS reference §3.4, §5.1)."""

from homeport.model.finding import Finding, Severity
from homeport.webconfig.document import Document, Element
from homeport.webconfig.schema import AttributeRow, ElementRow, Support, full

TABLE = ElementRow(
    name="appSettings",
    attributes=(
        AttributeRow(
            name="file", support=Support.PARTIAL, note="wfastcgi does not read the file, nor do we."
        ),
        AttributeRow(
            name="configSource", support=Support.PARTIAL, note="wfastcgi does not read the file, nor do we."
        ),
    ),
    children=(
        ElementRow(name="add", attributes=full("key", "value")),
        ElementRow(
            name="remove",
            support=Support.PARTIAL,
            attributes=full("key"),
            note="wfastcgi passes it over: the key stays set.",
        ),
        ElementRow(
            name="clear", support=Support.PARTIAL, note="wfastcgi passes it over: every key stays set."
        ),
    ),
)


def read_app_settings(document: Document) -> tuple[tuple[str, str], ...]:
    """Give every key and value in document order, those inside <location> too; of equal keys the last counts.

    Keys lose surrounding blanks, entries without a key are left out, empty values stay.
    """
    pairs = []
    for section in _sections(document.root):
        for add in section.below():
            key = (add.get("key") or "").strip() if add.name == "add" else ""
            if key:
                pairs.append((key, add.get("value") or ""))
    return tuple(pairs)


def app_setting_lines(document: Document) -> dict[str, int]:
    """Give the line of each key; of equal keys the last counts."""
    adds = [each for section in _sections(document.root) for each in section.below() if each.name == "add"]
    return {(add.get("key") or "").strip(): add.line for add in adds}


def check_app_settings(document: Document) -> list[Finding]:
    """Warn of what .NET would honour and wfastcgi passes over."""
    findings = []
    for section in _sections(document.root):
        findings += [
            _passed_over(document, section, f"'{name}' of <appSettings>")
            for name in ("file", "configSource")
            if section.get(name) is not None
        ]
        findings += [
            _passed_over(document, child, f"<{child.name}> in <appSettings>")
            for child in section.children
            if child.name in {"remove", "clear"}
        ]
    return findings


def _sections(root: Element) -> list[Element]:
    return [element for element in root.below() if element.name == "appSettings"]


def _passed_over(document: Document, element: Element, what: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="webconfig.passed-over",
        message=f"{what} changes nothing: wfastcgi never honoured it.",
        file=document.file,
        line=element.line,
        remedy="Write the settings that are wanted, and no others, as <add>.",
    )
