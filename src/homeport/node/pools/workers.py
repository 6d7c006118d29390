"""What a worker of a FastCGI pool is started with."""

import json
import os
from collections.abc import Mapping
from typing import Any

from homeport.model.site import DesiredSite
from homeport.webconfig.plan import ContentFolder, FastCgiPool

LIBRARY = "/opt/homeport/lib"
"""Where the sandbox sees the worker package, prepared for the site's interpreter."""
_LAUNCHER = f"{LIBRARY}/homeport/worker/launch.py"
_FAILURE_LINGER_SECONDS = 10
SERVER_SOFTWARE = "Homeport/0.1"


def worker_program(pool: FastCgiPool) -> tuple[str, ...]:
    """Return the command that runs our responder on the pool's Python."""
    return (pool.program[0], _LAUNCHER)


def worker_config(site: DesiredSite, pool: FastCgiPool, *, instance: str, replacing: bool) -> bytes:
    """Return the JSON that the worker reads from its configuration descriptor.

    A worker that replaces another one ends at once when the application does not start: the older one still serves,
    so nobody should meet the newer one's error page.
    """
    return json.dumps(
        {
            "physical_path": pool.content.path,
            "app_settings": [list(pair) for pair in pool.app_settings],
            "constant_params": constant_params(site, pool.content, instance=instance),
            # The agent replaces the worker in time, without a gap; this is for an agent that is gone.
            "instance_max_requests": 2 * pool.instance_max_requests,
            "failure_linger_seconds": 0 if replacing else _FAILURE_LINGER_SECONDS,
            "failure_report": "/home/LogFiles/homeport/failures",
            "accelerator": os.environ.get("HOMEPORT_ACCELERATOR", "auto"),
        }
    ).encode()


def constant_params(site: DesiredSite, content: ContentFolder, *, instance: str) -> Mapping[str, Any]:
    """Return the FastCGI parameters that are the same for every request (IIS reference §2.4, §2.5)."""
    return {
        "SERVER_SOFTWARE": SERVER_SOFTWARE,
        "GATEWAY_INTERFACE": "CGI/1.1",
        "FCGI_ROLE": "RESPONDER",
        "APPL_PHYSICAL_PATH": f"{content.path}/",
        "APPL_MD_PATH": f"/LM/W3SVC/1/ROOT{content.mounted_at}",
        "INSTANCE_ID": "1",
        "INSTANCE_NAME": site.name.upper(),
        "INSTANCE_META_PATH": "/LM/W3SVC/1",
        "DOCUMENT_ROOT": content.path,
        "AUTH_TYPE": "",
        "AUTH_USER": "",
        "LOGON_USER": "",
        "REMOTE_USER": "",
        "HTTP_DISGUISED_HOST": site.hostnames[0],
        "HTTP_WAS_DEFAULT_HOSTNAME": site.hostnames[0],
        "HTTP_X_SITE_DEPLOYMENT_ID": site.name,
        "HTTP_MAX_FORWARDS": "10",
        "HTTP_X_ARR_LOG_ID": instance[:8],
    }
