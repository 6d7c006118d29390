"""Application settings become the process's environment and search path (IIS reference §3.3, §3.4)."""

import re
from typing import Dict, Iterable, List, Mapping, Sequence, Tuple

Settings = Sequence[Tuple[str, str]]

_PERCENT_WORD = re.compile(r"%(\w+)%")


def environment_from(settings: Settings) -> Dict[str, str]:
    """Return the environment variables that the settings make: names stripped, empty names dropped, the last wins.

    Empty values stay and become empty variables. A NUL cannot be in a variable; text with one is cut before it.
    """
    variables: Dict[str, str] = {}
    for name, value in settings:
        key = name.strip().partition("\0")[0]
        if key and "=" not in key:
            variables[key] = value.partition("\0")[0]
    return variables


def search_path_from(settings: Settings, environ: Mapping[str, str]) -> List[str]:
    """Return the entries that the setting PYTHONPATH (in any case) appends to `sys.path`.

    `%word%` is replaced from the environment, an unknown word by nothing; entries are parted by `;` on every system.
    """
    text = ""
    for name, value in settings:
        if name.strip().upper() == "PYTHONPATH":
            text = value
    expanded = _PERCENT_WORD.sub(lambda match: environ.get(match.group(1), ""), text)
    return [entry for entry in expanded.split(";") if entry]


def names_debugger(settings: Iterable[Tuple[str, str]]) -> bool:
    """Tell whether the settings ask for the debugger of wfastcgi, which this worker does not start."""
    return any(name.strip() == "WSGI_PTVSD_SECRET" for name, _ in settings)
