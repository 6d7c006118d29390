"""JSON as Newtonsoft reads it: single quotes and bare member names are accepted (Kudu reference §1.1)."""

import json
import re
from typing import Any

_TOKEN = re.compile(
    r"""(?P<double>"(?:[^"\\]|\\.)*")
      | (?P<single>'(?:[^'\\]|\\.)*')
      | (?P<name>[A-Za-z_$][\w$]*)(?=\s*:)
      | (?P<trailing>,(?=\s*[}\]]))
      | (?P<other>[^"'A-Za-z_$,]+|[A-Za-z_$][\w$]*|,|.)""",
    re.VERBOSE | re.DOTALL,
)


def parse_lenient(text: str) -> Any:
    """Parse `text`; raises `ValueError` where even Newtonsoft would."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("The document is nested too deeply.") from error
    except ValueError:
        return json.loads("".join(_strict(match) for match in _TOKEN.finditer(text)))


def _strict(token: re.Match[str]) -> str:
    match token.lastgroup:
        case "single":
            inner = re.sub(r"\\'", "'", token.group()[1:-1])
            return '"' + re.sub(r'(\\.)|"', lambda found: found[1] or '\\"', inner, flags=re.DOTALL) + '"'
        case "name":
            return f'"{token.group()}"'
        case "trailing":
            return ""
        case _:
            return token.group()
