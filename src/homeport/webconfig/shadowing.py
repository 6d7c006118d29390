"""Handlers that no request can reach, because one before them takes everything that they would (IIS reference §1.5)."""

from collections.abc import Iterator

from homeport.model.finding import Finding, Severity
from homeport.webconfig.plan import ANY_VERB, HostingPlan, ResourceType, Rule


def shadowed_handlers(plan: HostingPlan) -> Iterator[Finding]:
    """Yield a finding for each handler of the site's own files that another one always goes before."""
    seen: set[tuple[str, str, int]] = set()
    earlier: dict[str, list[Rule]] = {}
    for rule in plan.rules:
        key = (rule.handler, rule.file, rule.line)
        others = earlier.setdefault(rule.folder, [])
        others.append(rule)
        if not rule.file or key in seen:
            continue
        before = next((other for other in others[:-1] if _covers(other, rule)), None)
        if before is not None:
            seen.add(key)
            yield Finding(
                severity=Severity.WARNING,
                code="webconfig.shadowed",
                message=f"Handler '{rule.handler}' ({rule.path}) is never reached: {_named(before)} takes all its requests.",
                file=rule.file,
                line=rule.line,
                remedy="Put it before that one, or give that one a narrower path.",
            )


def _covers(first: Rule, second: Rule) -> bool:
    """Tell whether every request that fits `second` fits `first`."""
    base = second.base.startswith(first.base)
    path = first.path == "*" or (first.path.lower() == second.path.lower() and first.base == second.base)
    verbs = ANY_VERB in first.verbs or (
        ANY_VERB not in second.verbs and set(second.verbs) <= set(first.verbs)
    )
    resource = first.resource_type in (ResourceType.UNSPECIFIED, second.resource_type)
    return base and path and verbs and resource


def _named(rule: Rule) -> str:
    place = f" ({rule.file}:{rule.line})" if rule.file else ""
    return f"'{rule.handler}'{place} before it"
