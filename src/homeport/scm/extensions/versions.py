"""Versions of NuGet packages and their order: SemVer 2 with an optional fourth number. Pure."""

import re
from functools import total_ordering

from homeport.model.errors import Invalid

_VERSION = re.compile(
    r"(?P<numbers>\d{1,9}(?:\.\d{1,9}){0,3})(?:-(?P<label>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?"
)


@total_ordering
class PackageVersion:
    """A parsed version: `1.2` equals `1.2.0.0`, labels come before the release, metadata does not count."""

    def __init__(self, text: str) -> None:
        """Parse; raises `Invalid`."""
        match = _VERSION.fullmatch(text.strip())
        if match is None:
            raise Invalid(f"'{text[:80]}' is not the version of a package, such as 1.2.3.")
        numbers = [int(part) for part in match["numbers"].split(".")]
        self.numbers = (*numbers, 0, 0, 0)[:4]
        self.label = tuple(match["label"].split(".")) if match["label"] else ()
        self._key = (self.numbers, not self.label, tuple(_label_key(part) for part in self.label))

    @property
    def is_prerelease(self) -> bool:
        """Tell whether the version has a label."""
        return bool(self.label)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PackageVersion) and self._key == other._key

    def __lt__(self, other: "PackageVersion") -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __str__(self) -> str:
        """Write the normalised form that addresses of packages carry."""
        shown = self.numbers if self.numbers[3] else self.numbers[:3]
        return ".".join(map(str, shown)) + (f"-{'.'.join(self.label)}" if self.label else "")


def _label_key(part: str) -> tuple[bool, int, str]:
    return (False, int(part), "") if part.isdigit() else (True, 0, part.casefold())
