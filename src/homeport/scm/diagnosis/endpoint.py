"""`/why` and `GET /api/homeport/why`: why the site does not start, for its owner."""

import asyncio
import json
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from homeport.scm.agent_channel import AgentChannel
from homeport.scm.browser.rendering import Renderer
from homeport.scm.diagnosis.answer import why_answer
from homeport.scm.http.answers import json_answer
from homeport.scm.http.query import query_text
from homeport.scm.options import ScmOptions
from homeport.scm.settings.stack import SettingsProviders

if TYPE_CHECKING:
    from homeport.scm.diagnosis.evidence import Cause, Evidence


class WhyEndpoint:
    """Explains the state of the site."""

    def __init__(self, options: ScmOptions, *, providers: SettingsProviders, channel: AgentChannel) -> None:
        self._options = options
        self._providers = providers
        self._channel = channel
        self._renderer = Renderer(options)

    async def as_json(self, request: Request) -> Response:
        """Answer with `{"causes": [...], "pools": [...]}`, the most telling cause first; with `preview=ID` of a preview."""
        preview = query_text(request, "preview")
        if preview:
            found = await self._channel.ask("why-preview", id=preview)
            return json_answer(json.loads(found["answer"]))
        return json_answer(why_answer(*await self._found()))

    async def page(self, request: Request) -> Response:
        """GET `/why`."""
        evidence, causes = await self._found()
        return self._renderer.page(request, "why.html", causes=causes, pools=evidence.pools or ())

    async def _found(self) -> "tuple[Evidence, list[Cause]]":
        from homeport.scm.diagnosis.causes import find_causes  # late: XML and packaging are slow to load
        from homeport.scm.diagnosis.gathering import ask_pools, gather

        hosting = await ask_pools(self._channel)
        evidence = await asyncio.to_thread(
            gather,
            self._options.home,
            site=self._options.site,
            app_settings=self._providers.app,
            hosting=hosting,
        )
        return evidence, find_causes(evidence)
