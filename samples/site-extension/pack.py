"""Pack this folder into `<id>.<version>.nupkg`: python pack.py [FOLDER FOR THE PACKAGE]."""

import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

TYPES = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="nuspec" ContentType="application/octet"/></Types>'
)


def pack(source: Path, target: Path) -> Path:
    """Pack the extension in `source`; return the package, which is made in the folder `target`."""
    (nuspec,) = source.glob("*.nuspec")
    said = {
        element.tag.rpartition("}")[2]: element.text or ""
        for element in ElementTree.parse(nuspec).getroot().iter()  # noqa: S314 — our own file
    }
    package = target / f"{said['id']}.{said['version']}.nupkg"
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(nuspec, nuspec.name)
        archive.writestr("[Content_Types].xml", TYPES)
        for path in sorted((source / "content").rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(source).as_posix())
    return package


if __name__ == "__main__":
    print(pack(Path(__file__).parent, Path(sys.argv[1] if len(sys.argv) > 1 else ".")))  # noqa: T201
