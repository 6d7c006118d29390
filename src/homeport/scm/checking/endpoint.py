"""`GET /api/homeport/check`: the findings of `homeport check` for this site, as JSON."""

import asyncio
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response

from homeport.scm.http.answers import json_answer
from homeport.scm.options import ScmOptions
from homeport.scm.settings.stack import SettingsProviders


class CheckEndpoint:
    """Checks the site when it is asked to."""

    def __init__(self, options: ScmOptions, *, providers: SettingsProviders) -> None:
        self._options = options
        self._providers = providers

    async def check(self, _request: Request) -> Response:
        """Answer with `{"findings": [...]}`, errors first."""
        from homeport.scm.checking.content import check_site  # late: XML and packaging are slow to load

        findings = await asyncio.to_thread(
            check_site, self._options.home, name=self._options.site, app_settings=self._providers.app
        )
        return json_answer({"findings": [asdict(finding) for finding in findings]})
