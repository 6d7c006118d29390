"""The cases of URL Rewrite: rules, requests, and what must come of each; read by the pure tests and those with nginx.

A case is a file of `rewrite/`: what stands in `<rewrite>` (rules, maps and lists in any order), a line `---`, and then
requests (`VERB target | Header: value`), each followed by its outcome:

- `-> pass PATH?QUERY | VARIABLE: value` goes on with that URL; the path is percent-encoded, the query as it is;
- `-> 302 LOCATION`, `-> 403`, `-> abort` answer.
"""

import re
from dataclasses import dataclass
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


def cases() -> list[Case]:
    return [_read(path) for path in sorted(FOLDER.glob("*.case"))]


def _read(path: Path) -> Case:
    section, _, lines = path.read_text().partition("---\n")
    pairs = [line for line in lines.splitlines() if line.strip()]
    exchanges = [_exchange(*pair) for pair in zip(pairs[::2], pairs[1::2], strict=True)]
    return Case(path.stem, _web_config(section).encode(), tuple(exchanges))


def _web_config(section: str) -> str:
    rules = "".join(_RULE.findall(section))
    return (
        "<configuration><system.webServer>"
        f"<rewrite>{_RULE.sub('', section)}<rules>{rules}</rules></rewrite>"
        '<security><requestFiltering allowDoubleEscaping="true"/></security>'
        "</system.webServer></configuration>"
    )


def _exchange(request: str, outcome: str) -> Exchange:
    line, *headers = (part.strip() for part in request.split(" | "))
    method, _, target = line.partition(" ")
    pairs = tuple((name, value.strip()) for name, _, value in (header.partition(":") for header in headers))
    return Exchange(method, target, pairs, outcome.removeprefix("->").strip())
