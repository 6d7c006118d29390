"""Small real NuGet feeds for tests: packages, a v3 feed and a v2 feed, served from static files."""

import functools
import io
import json
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

NUSPEC = """<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd">
  <metadata>
    <id>{id}</id><version>{version}</version><title>{title}</title><authors>Ada, Bob</authors>
    <description>An example.</description><projectUrl>https://example.test/</projectUrl><tags>AzureSiteExtension</tags>
  </metadata>
</package>
"""


def package(
    identity: str, version: str, files: Mapping[str, str | bytes], *, nuspec: str | None = None
) -> bytes:
    """Make a .nupkg; `files` are named as they are to be in the package, `content/` included."""
    text = (
        NUSPEC.format(id=identity, version=version, title=f"Title of {identity}")
        if nuspec is None
        else nuspec
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{identity}.nuspec", text)
        archive.writestr("[Content_Types].xml", "<Types/>")
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def write_v3(root: Path, address: str, packages: Sequence[tuple[str, str, bytes]]) -> str:
    """Write a v3 feed below `root`, which is served at `address`; return the address of its index."""
    versions: dict[str, list[str]] = {}
    for identity, version, data in packages:
        folder = root / "v3/flat" / identity.lower() / version
        folder.mkdir(parents=True)
        (folder / f"{identity.lower()}.{version}.nupkg").write_bytes(data)
        versions.setdefault(identity, []).append(version)
    for identity, known in versions.items():
        (root / "v3/flat" / identity.lower() / "index.json").write_text(json.dumps({"versions": known}))
    found = [
        {
            "id": identity,
            "version": known[-1],
            "title": f"Title of {identity}",
            "description": "An example.",
            "authors": ["Ada", "Bob"],
            "totalDownloads": 42,
            "versions": [{"version": version} for version in known],
        }
        for identity, known in versions.items()
    ]
    (root / "v3/query").write_text(json.dumps({"totalHits": len(found), "data": found}))
    resources = [
        {"@id": f"{address}/v3/flat/", "@type": "PackageBaseAddress/3.0.0"},
        {"@id": f"{address}/v3/query", "@type": "SearchQueryService/3.0.0-beta"},
    ]
    (root / "v3/index.json").write_text("\ufeff" + json.dumps({"version": "3.0.0", "resources": resources}))
    return f"{address}/v3/index.json"


def write_v2(root: Path, address: str, packages: Sequence[tuple[str, str, bytes]]) -> str:
    """Write a v2 feed below `root`; return its address."""
    (root / "v2").mkdir()
    entries = ""
    for identity, version, data in packages:
        (root / f"v2/{identity}.{version}.nupkg").write_bytes(data)
        entries += (
            f'<entry><title type="text">{identity}</title><author><name>Ada, Bob</name></author>'
            f'<content type="application/zip" src="{escape(address)}/v2/{identity}.{version}.nupkg"/>'
            "<m:properties>"
            f"<d:Version>{version}</d:Version><d:Title>Title of {identity}</d:Title>"
            "<d:Description>An example.</d:Description></m:properties></entry>"
        )
    document = (
        '<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom" '
        'xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices" '
        f'xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">{entries}</feed>'
    )
    for name in ("Search()", "FindPackagesById()", "service.xml"):
        (root / "v2" / name).write_text(document)
    (root / "v2/index.html").write_text('<?xml version="1.0"?><service xmlns="http://www.w3.org/2007/app"/>')
    return f"{address}/v2"


class _Handler(SimpleHTTPRequestHandler):
    def translate_path(self, path: str) -> str:
        return super().translate_path(urlsplit(path).path)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def served(root: Path) -> Iterator[str]:
    """Serve a folder; gives its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
