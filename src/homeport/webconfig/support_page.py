"""The compatibility page of web.config, made from the tables that the code itself goes by."""

from collections.abc import Iterator

from homeport.webconfig.schema import ElementRow, Support
from homeport.webconfig.sections.configuration import TABLE

_HEAD = """# web.config

<!-- Written by `make docs` from the tables that the platform itself goes by; a test fails when it is out of date. -->

What Homeport does with each element and attribute of `web.config`.
**full**: as IIS does. **partial**: with the difference named. **absent**: recognised and reported as a finding with its line, not honoured yet. **irrelevant**: concerns .NET or Windows only and changes nothing for a Python site.
An element or attribute that is in no table is reported by name and line as unknown.
Letter case of URLs counts for static files and folders, other than under IIS.

| element | attribute | support | difference |
|---|---|---|---|
"""


def render_support_page() -> str:
    """Return the page as Markdown."""
    return _HEAD + "".join(f"| {' | '.join(row)} |\n" for row in _rows(TABLE, ""))


def _rows(element: ElementRow, path: str) -> Iterator[tuple[str, str, str, str]]:
    name = f"{path}/{element.name}".lstrip("/")
    if element.support is not Support.FULL or element.attributes or not element.children:
        yield f"`{name}`", "", element.support.value, element.note
    for attribute in element.attributes:
        yield "", f"`{attribute.name}`", attribute.support.value, attribute.note
    for child in element.children:
        yield from _rows(child, name)
