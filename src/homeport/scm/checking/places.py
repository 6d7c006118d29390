"""Where in a site's web.config files something is configured, for findings and causes."""

from homeport.scm.content import Content
from homeport.webconfig import HostingPlan
from homeport.webconfig.detection import FILE
from homeport.webconfig.document import parse_document
from homeport.webconfig.plan import FastCgi, ProxyToPool
from homeport.webconfig.sections.app_settings import app_setting_lines


def configured_places(plan: HostingPlan, content: Content) -> dict[str, tuple[str, int]]:
    """Give file and line of pools, by their id (of httpPlatform the element's, where there is one), and of two settings.

    A pool that no file configures, because its application was detected, has an empty file.
    """
    places = {
        rule.action.pool: ("", 0) if rule.file == FILE else (rule.file, rule.line)
        for rule in reversed(plan.rules)
        if isinstance(rule.action, FastCgi | ProxyToPool)
    }
    document, _ = parse_document(content.configuration().get("", b""), file="web.config")
    elements = tuple(document.root.below()) if document else ()
    sections = [each for each in elements if each.name == "httpPlatform"]
    if len(sections) == 1:
        places |= {pool.id: ("web.config", sections[0].line) for pool in plan.http_pools}
    lines = app_setting_lines(document) if document else {}
    return places | {
        key: ("web.config", lines[key]) for key in ("WSGI_HANDLER", "PYTHONPATH") if key in lines
    }
