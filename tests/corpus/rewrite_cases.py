"""The cases of URL Rewrite: rules, requests, and what must come of each; read by the pure tests and those with nginx.

A case is a file of `rewrite/`: what stands in `<rewrite>` (where there is no `<rules>`, all rules come into one), a line `---`, and then
requests (`VERB target | Header: value`), each followed by its outcome:

- `-> pass PATH?QUERY | VARIABLE: value` goes on with that URL; the path is percent-encoded, the query as it is;
- `-> 302 LOCATION`, `-> 403`, `-> abort` answer.

A line `+++ FOLDER` before more rules begins the `<rewrite>` of that folder's own web.config.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_to_bytes

FOLDER = Path(__file__).with_name("rewrite")
FILES = {"static/app.css": "body{}", "index.html": "<p>", "web.config": ""}
_RULE = re.compile(r"<rule\b.*?</rule>", re.DOTALL)


@dataclass(frozen=True)
class Exchange:
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    outcome: str

    @property
    def path(self) -> bytes:
        return unquote_to_bytes(self.target.partition("?")[0])

    @property
    def query(self) -> bytes:
        return self.target.partition("?")[2].encode()


@dataclass(frozen=True)
class Case:
    name: str
    web_config: bytes
    exchanges: tuple[Exchange, ...]
    folders: Mapping[str, bytes] = field(default_factory=dict)


def cases() -> list[Case]:
    return [_read(path) for path in sorted(FOLDER.glob("*.case"))]


def _read(path: Path) -> Case:
    root, folders, lines = read_sections(path.read_text())
    exchanges = [read_exchange(*pair) for pair in zip(lines[::2], lines[1::2], strict=True)]
    return Case(path.stem, root, tuple(exchanges), folders)


def read_sections(text: str) -> tuple[bytes, dict[str, bytes], list[str]]:
    """Give the web.config of the root and of the folders, and the lines behind them."""
    text, _, lines = text.partition("---\n")
    section, *below = re.split(r"^\+\+\+ ", text, flags=re.MULTILINE)
    parted = (part.partition("\n") for part in below)
    folders = {folder.strip(): web_config(rules).encode() for folder, _, rules in parted}
    return web_config(section).encode(), folders, [line for line in lines.splitlines() if line.strip()]


def web_config(section: str) -> str:
    if "<rules>" in section or "<outboundRules>" in section:
        return _document(section)
    rules = "".join(_RULE.findall(section))
    return _document(f"{_RULE.sub('', section)}<rules>{rules}</rules>")


def _document(section: str) -> str:
    return (
        "<configuration><system.webServer>"
        f"<rewrite>{section}</rewrite>"
        '<security><requestFiltering allowDoubleEscaping="true"/></security>'
        "</system.webServer></configuration>"
    )


def read_exchange(request: str, outcome: str) -> Exchange:
    line, *headers = (part.strip() for part in request.split(" | "))
    method, _, target = line.partition(" ")
    pairs = tuple((name, value.strip()) for name, _, value in (header.partition(":") for header in headers))
    return Exchange(method, target, pairs, outcome.removeprefix("->").strip())
