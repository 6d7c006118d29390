"""`/api/command`: one command line, run to its end (Kudu reference §1.1, §1.2)."""

from starlette.requests import Request
from starlette.responses import Response

from homeport.scm.http.answers import json_answer
from homeport.scm.http.bodies import json_object
from homeport.scm.options import ScmOptions
from homeport.scm.settings.stack import SettingsProviders


class CommandEndpoint:
    """Runs commands with the site's settings in their environment."""

    def __init__(self, options: ScmOptions, *, providers: SettingsProviders) -> None:
        self._options = options
        self._providers = providers

    async def run(self, request: Request) -> Response:
        """POST: 200 whatever became of the process."""
        from homeport.scm.commands.execution import execute

        body = await json_object(request)
        settings = self._providers.current()
        result = await execute(
            _text(body, "command") or "",
            directory=_text(body, "dir"),
            environment={**self._options.environment, **settings.all()},
            idle_timeout_seconds=settings.number("SCM_COMMAND_IDLE_TIMEOUT", default=60) or 60,
            layout=self._options.layout,
        )
        return json_answer({"Output": result.output, "Error": result.error, "ExitCode": result.exit_code})


def _text(body: dict[str, object], name: str) -> str | None:
    """Return a member as text; member names are compared without case, as Newtonsoft does."""
    found = next((value for key, value in body.items() if key.casefold() == name), None)
    return None if found is None else str(found)
