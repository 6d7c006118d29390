"""How large the pieces of a site's configuration may be.

One agent compiles the configuration of all sites, and a tenant writes it: nothing in it may cost more than about a
second, however it is written. Every bound is far above what a working site has.
"""

from collections.abc import Mapping

from homeport.windows.paths import ListFolder
from homeport.windows.variables import expand_text

MOST_BYTES = 1024 * 1024
"""A web.config file."""
MOST_DEPTH = 40
"""Elements inside elements."""
MOST_ELEMENTS = 20_000
"""Elements of one file; redirect maps have thousands."""
MOST_FILES = 500
"""web.config files of one site."""
MOST_LOCATIONS = 200
"""`<location>`s of one file."""
MOST_LAYERS = 1000
"""Files and `<location>`s of one site together."""
MOST_ENTRIES = 500
"""Entries of one `<handlers>` or `<fastCgi>`, and handlers in force at one place."""
MOST_RULES = 5000
"""Rules of all folders together."""
MOST_FINDINGS = 200
"""Findings of one file's check."""
LONGEST_VALUE = 32_767
"""Characters of an environment variable's value: what Windows allows."""
LONGEST_TEXT = 1000
"""Bytes of a value that is written into the server's configuration: a header, a type, a destination."""
MOST_SETTINGS = 100
"""Folders of one site with sections other than their parent's, beside handlers."""
MOST_SETTINGS_TEXT = 2_000_000
"""Characters of the settings of all these folders."""
MOST_APPLICATIONS = 20_000
"""Times that a section is merged into what it inherits, in all folders of one site."""
MOST_PATHS = 1000
"""Items in the PYTHONPATHs of one site."""


def bounded_expand(text: str, variables: Mapping[str, str]) -> str | None:
    """Expand `%NAME%`s; None where the result could be longer than a value may be."""
    longest = max((len(value) for value in variables.values()), default=0)
    references = text.count("%") // 2
    if len(text) + references * longest <= LONGEST_VALUE:
        return expand_text(text, variables)
    # Long settings that are not referred to must not matter: look at the ones that are.
    folded = text.upper()
    named = [len(value) for name, value in variables.items() if f"%{name.upper()}%" in folded]
    if len(text) + references * max(named, default=0) > LONGEST_VALUE:
        return None
    return expand_text(text, variables)


def remembering(list_folder: ListFolder | None) -> ListFolder | None:
    """Make a `ListFolder` that asks for each folder once: a plan looks at one state of the disk."""
    if list_folder is None:
        return None
    known: dict[str, tuple[str, ...] | None] = {}

    def listed(path: str) -> tuple[str, ...] | None:
        if path not in known:
            names = list_folder(path)
            known[path] = None if names is None else tuple(names)
        return known[path]

    return listed
