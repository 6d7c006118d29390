"""`.deployment`: an INI file in a package that configures its own deployment (Kudu reference §12.1).

Pure: bytes in, settings out.
"""


def parse_dot_deployment(data: bytes) -> dict[str, str]:
    """Return the settings of section `[config]`; names without case there are spelled as in the file.

    Lines that are no `key = value` are passed over, as are comments (`;`, `#`) and other sections.
    """
    settings: dict[str, str] = {}
    section = ""
    for raw in data.decode("utf-8-sig", "replace").splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip().casefold()
        elif line and line[0] not in ";#" and section == "config":
            key, equals, value = line.partition("=")
            if equals and key.strip():
                settings[key.strip()] = value.strip()
    return settings
