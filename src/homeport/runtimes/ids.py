"""The ids of App Service's Python extensions and the folders they install to (IIS reference §7.1)."""

import re
from dataclasses import dataclass

from homeport.model.errors import Invalid, Unsupported
from homeport.windows.interpreters import folder_version

OLDEST = (3, 6)
"""The oldest minor version that Homeport runs."""
_ID = re.compile(r"(?:azureappservice-)?(?P<name>python(?P<digits>\d{2,5}))(?P<bits>x64|x86)?", re.IGNORECASE)
_MINORS = range(2, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionId:
    """A parsed id: `text` in lower case with its prefix, `version` as far as it says (`(3, 6, 1)` or `(3, 6)`)."""

    text: str
    version: tuple[int, ...]
    bits: int

    @property
    def minor(self) -> tuple[int, int]:
        """Major and minor version."""
        return self.version[0], self.version[1]

    @property
    def folder(self) -> str:
        """The folder below /home: the id without its prefix.

        It is lower case as in the packages; configurations write `Python361x64` as often, and are read without case.
        """
        return self.text.removeprefix("azureappservice-")


def parse_extension_id(text: str) -> ExtensionId:
    """Read `python361x64`, `azureappservice-python364x86`, `python3117x64` …, letter case ignored.

    After the 3, a 1 followed by another digit begins a minor version of two digits. Without an ending the id means
    x64. Raises `Invalid` for another form and `Unsupported` for a Python older than 3.6.
    """
    match = _ID.fullmatch(text.strip())
    version = folder_version(match[0]) if match else ()
    if match is None or version[0] > 3 or version[0] < 2:
        raise Invalid(
            f"'{text}' is not the id of a Python: write python, the version's digits and x64, "
            "as in python3117x64 (list them with: homeport extension list).",
            code="InvalidExtensionId",
        )
    if version[:2] < OLDEST:
        shown = ".".join(map(str, version))
        raise Unsupported(
            f"'{text}' is Python {shown}; Homeport runs Python 3.6 and newer. "
            "Choose one from: homeport extension list.",
            code="PythonTooOld",
        )
    return ExtensionId(
        text=match[0].lower() + ("" if match["bits"] else "x64"),
        version=version,
        bits=32 if (match["bits"] or "").lower() == "x86" else 64,
    )


def format_extension_id(version: tuple[int, int, int]) -> str:
    """Write the id of a version: `(3, 11, 7)` → `python3117x64`. Raises `Invalid` when no id can tell it."""
    major, minor, micro = version
    if major != 3 or minor not in _MINORS or micro not in range(100):
        raise Invalid(f"Python {major}.{minor}.{micro} has no extension id.", code="InvalidExtensionId")
    return f"python{major}{minor}{micro}x64"
