"""What a site's processes find in their environment (IIS reference §10.2, Kudu reference §13)."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from homeport.model.site import DesiredSite
from homeport.webconfig.bounds import bounded_expand
from homeport.webconfig.values import ValueMapper
from homeport.windows.layout import Layout
from homeport.windows.paths import ListFolder
from homeport.windows.variables import windows_variables

_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def instance_id() -> str:
    """Return the machine's id as App Service shows it: 64 hexadecimal digits, the same at every start."""
    try:
        machine = Path("/etc/machine-id").read_bytes().strip()
    except OSError:
        machine = os.uname().nodename.encode()
    return hashlib.sha256(b"homeport" + machine).hexdigest()


def site_environment(
    site: DesiredSite,
    *,
    instance: str,
    runtime: str | None,
    scm: bool,
    windows_paths: bool = False,
    list_folder: ListFolder | None = None,
) -> dict[str, str]:
    r"""Return the environment of one process.

    `runtime` is the folder below /home of the Python it runs on. Each app setting appears as NAME and as
    APPSETTING_NAME; those that begin with MAINSITE_ or SCMSITE_ go to one of the two only. The application finds
    values that are nothing but a path of the site (`D:\home\data`) as the Linux path (IIS reference §10.4 rule 7);
    with `windows_paths` they stay as they are written: commands know them. `list_folder` sees the site's files.
    """
    environment = {
        "HOME": "/home",
        "HOME_EXPANDED": "/home",
        "LOCAL_EXPANDED": "/local",
        "TEMP": "/tmp",
        "TMP": "/tmp",
        "TMPDIR": "/tmp",
        "LANG": "C.UTF-8",
        "PATH": f"/home/{runtime}/bin:{_SYSTEM_PATH}" if runtime else _SYSTEM_PATH,
        "COMPUTERNAME": "homeport",
        "NUMBER_OF_PROCESSORS": str(os.cpu_count() or 1),
        "REGION_NAME": "local",
        "WEBSITE_SITE_NAME": site.name,
        "WEBSITE_HOSTNAME": site.hostnames[0],
        "WEBSITE_INSTANCE_ID": instance,
        "WEBSITE_SKU": "Standard",
        "WEBSITE_COMPUTE_MODE": "Dedicated",
        "WEBSITE_IIS_SITE_NAME": f"~1{site.name}" if scm else site.name,
        "APP_POOL_ID": f"~1{site.name}" if scm else site.name,
        "SITE_BITNESS": "AMD64",
    }
    if Path(_CERTIFICATES).exists():
        # Not the bundle that pip and requests carry: a company's own authority is trusted by the system's.
        environment |= dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"), _CERTIFICATES)
    foreign = "MAINSITE_" if scm else "SCMSITE_"
    mine = {name: value for name, value in site.app_settings.items() if not name.startswith(foreign)}
    if not windows_paths:
        mine = _for_linux(mine, list_folder)
    return environment | mine | {f"APPSETTING_{name}": value for name, value in mine.items()}


def with_references(values: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Expand the `%NAME%`s that are left in configured values by the process's own environment (IIS reference §4.2).

    What the compiler knows it has put in; the rest (`%PATH%`, `%WEBSITE_HOSTNAME%`) only a process has. A value that
    would become longer than one may be stays as it is.
    """
    return {name: with_reference(value, environment) for name, value in values.items()}


def with_reference(value: str, environment: Mapping[str, str]) -> str:
    """Expand one value, as `with_references` does."""
    expanded = bounded_expand(value, environment)
    return value if expanded is None else expanded


def _for_linux(settings: Mapping[str, str], list_folder: ListFolder | None) -> dict[str, str]:
    mapper = ValueMapper(variables=windows_variables(Layout()), list_folder=list_folder)
    return {
        name: (mapper.environment(name, value) if name.upper() == "PYTHONPATH" else mapper.whole(value)).text
        for name, value in settings.items()
    }
