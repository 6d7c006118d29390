"""What the SCM site tells about itself: failures, `/api/environment`, `/api/scm/info`."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from homeport.scm.failures import Failures
from homeport.scm.http.address import origin
from homeport.scm.http.answers import json_answer, message
from homeport.scm.options import ScmOptions

_NO_REPOSITORY = 0
_GIT = 1


class SitePages:
    """Answers about the site as a whole."""

    def __init__(self, options: ScmOptions) -> None:
        self._options = options
        self._failures = Failures(options.home)

    async def failures_json(self, _request: Request) -> Response:
        """GET `/api/homeport/failures`."""
        failures = await asyncio.to_thread(self._failures.newest)
        return json_answer([failure.to_json() for failure in failures])

    async def failure_json(self, request: Request) -> Response:
        """GET `/api/homeport/failures/{id}`."""
        identity = request.path_params["id"]
        failure = await asyncio.to_thread(self._failures.read, identity)
        return (
            message(404, f"Failure '{identity}' not found.")
            if failure is None
            else json_answer(failure.to_json())
        )

    async def environment(self, _request: Request) -> Response:
        """GET `/api/environment` (Kudu reference §5.3)."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("homeport")
        except PackageNotFoundError:
            number = "0.0.0"
        return json_answer({"version": number})

    async def repository(self, request: Request) -> Response:
        """GET `/api/scm/info` (Kudu reference §5.4)."""
        kind = _GIT if (self._options.home / "site/repository/.git").exists() else _NO_REPOSITORY
        name = self._options.site.split("_", 1)[0]
        return json_answer({"Type": kind, "GitUrl": f"{origin(request)}/{name}.git"})
