"""`/api/zipdeploy/validate`: what a deployment would say of a package, without one (Kudu reference §3.2)."""

import asyncio
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from homeport.model.errors import Invalid, Unsupported
from homeport.scm.deployments.archive import BrokenPackage, bounds_from, check_members, open_package
from homeport.scm.deployments.fetching import Unreachable, fetch_package, is_package_address
from homeport.scm.http.answers import json_answer
from homeport.scm.http.bodies import discard_body
from homeport.scm.http.query import query_text
from homeport.scm.options import ScmOptions
from homeport.scm.settings.stack import SettingsProviders
from homeport.scm.zip.unpacking import staging_folder

_BUILT = frozenset({"", "python"})
_HTTP_SECONDS = 100


class ValidationEndpoint:
    """Checks packages before they are pushed, and refuses those that no Python site deploys."""

    def __init__(self, options: ScmOptions, *, providers: SettingsProviders) -> None:
        self._staging = options.home / "data/.homeport/zip"
        self._providers = providers

    async def validate(self, request: Request) -> Response:
        """POST: `{"result": text}` with 200, or with 400 where the text begins with ERROR or WARNING."""
        await discard_body(request)
        address = query_text(request, "packageUri")
        language = (query_text(request, "zipLanguage") or "").strip().casefold()
        if address:
            problem = await asyncio.to_thread(self._problem, address)
            if problem is not None:
                return json_answer({"result": f"ERROR: {problem}"}, status=400)
        if language not in _BUILT:
            text = f"WARNING: content in {language} is copied and not built; Homeport builds Python."
            return json_answer({"result": text}, status=400)
        return json_answer({"result": "The package can be deployed." if address else ""})

    async def war(self, request: Request) -> Response:
        """POST `/api/wardeploy`: refused, nothing here runs Java."""
        await discard_body(request)
        raise Unsupported(
            "Homeport does not run Java: /api/wardeploy is not supported. Push a zip to /api/zipdeploy."
        )

    def _problem(self, address: str) -> str | None:
        if not is_package_address(address):
            return "'packageUri' is not an absolute http or https address."
        settings = self._providers.current()
        seconds = settings.number("SCM_HTTPCLIENT_TIMEOUT", default=_HTTP_SECONDS)
        bounds = bounds_from(settings)
        fetch = partial(fetch_package, timeout_seconds=seconds, checkpoint=lambda: None)
        with staging_folder(self._staging) as staging:
            package = staging / "package.zip"
            try:
                fetch(address, package)
                with open_package(package, bounds) as opened:
                    check_members(opened, size=package.stat().st_size, bounds=bounds)
            except Invalid as error:
                return error.message
            except (BrokenPackage, Unreachable, OSError) as error:
                return str(error)
        return None
