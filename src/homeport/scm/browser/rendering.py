"""Pages from templates, escaped by default, under a policy that lets in nothing from elsewhere."""

from functools import cache
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from homeport.scm.browser.assets import asset_address
from homeport.scm.options import ScmOptions

if TYPE_CHECKING:
    from jinja2 import Environment

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'{styles}; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
MENU = (
    ("/", "Home"),
    ("/DebugConsole", "Console"),
    ("/ProcessExplorer", "Processes"),
    ("/LogStream", "Log stream"),
    ("/DeploymentCenter", "Deployments"),
    ("/ZipDeployUI", "Zip push"),
    ("/SiteExtensions", "Extensions"),
    ("/Env", "Environment"),
)
"""The pages in the order of the menu."""


class Renderer:
    """Renders the pages of one site."""

    def __init__(self, options: ScmOptions) -> None:
        self._options = options

    def page(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        inline_styles: bool = False,
        **values: Any,
    ) -> Response:
        """Return a page. `inline_styles` is for the terminal, whose library writes its colours as style elements."""
        text = (
            _templates()
            .get_template(template)
            .render(
                site=self._options.site,
                hostname=self._options.hostname,
                menu=MENU,
                here=request.scope["path"].rstrip("/").lower(),
                token=request.headers.get("x-homeport-csrf", ""),
                signed_in=bool(request.headers.get("x-homeport-csrf")),
                **values,
            )
        )
        policy = _POLICY.format(styles=" 'unsafe-inline'" if inline_styles else "")
        headers = {**_HEADERS, "content-security-policy": policy}
        return Response(text.encode("utf-8", "replace"), status_code=status, headers=headers)


@cache
def _templates() -> "Environment":
    # Late: the template engine is not needed for the API, and costs a cold start a tenth of its time.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("homeport.scm.browser"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals["asset"] = asset_address
    return templates
