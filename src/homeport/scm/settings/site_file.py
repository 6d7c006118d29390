"""`site/deployments/settings.xml`, section `deployment`: the settings written by the API (Kudu reference §5.1)."""

import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree

from homeport.model.errors import Invalid

_SECTION = "deployment"
_MOST_BYTES = 1024 * 1024


class SiteSettings:
    """The file as a mapping. Names keep their spelling and are compared without case."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, str]:
        """Return all values; a missing, oversized or broken file holds none."""
        try:
            if self._path.stat().st_size > _MOST_BYTES:
                return {}
            root = ElementTree.fromstring(self._path.read_bytes())  # noqa: S314 (see the import)
        except (OSError, ElementTree.ParseError):
            return {}
        added = [element for section in root.iter(_SECTION) for element in section.iter("add")]
        return {element.get("key", ""): element.get("value", "") for element in added if element.get("key")}

    def change(self, values: Mapping[str, str]) -> None:
        """Set several values at once. Raises `Invalid` for a character that XML cannot hold."""
        kept = self._without(values.keys())
        self._write({**kept, **values})

    def remove(self, name: str) -> None:
        """Remove one value, whether or not it is there."""
        self._write(self._without([name]))

    def _without(self, names: Iterable[str]) -> dict[str, str]:
        folded = {name.casefold() for name in names}
        return {name: value for name, value in self.read().items() if name.casefold() not in folded}

    def _write(self, values: Mapping[str, str]) -> None:
        root = ElementTree.Element("settings")
        section = ElementTree.SubElement(root, _SECTION)
        for name, value in values.items():
            ElementTree.SubElement(section, "add", key=_checked(name), value=_checked(value))
        ElementTree.indent(root)
        data = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_name(f".settings-{uuid.uuid4().hex}")
        try:
            aside.write_bytes(data)
            aside.replace(self._path)
        except OSError:
            aside.unlink(missing_ok=True)
            raise


def _checked(text: str) -> str:
    for character in text:
        allowed = character in "\t\n\r" or (
            character >= " " and not "\ud800" <= character <= "\udfff" and character not in "\ufffe\uffff"
        )
        if not allowed:
            raise Invalid(
                f"A setting cannot hold the character U+{ord(character):04X}.", code="SettingCharacter"
            )
    return text
