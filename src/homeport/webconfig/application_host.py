r"""A site's applicationHost.config: what the platform gives every site, after the transforms of its owner.

App Service applies `site\applicationHost.xdt` and those of the site's extensions when a site starts (IIS reference
§6.5, §7.3; Kudu reference §7.5). A broken one is left out as a whole, with an error.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from xml.sax.saxutils import escape, quoteattr

from homeport.model.finding import Finding, Severity
from homeport.webconfig.bounds import MOST_BYTES
from homeport.webconfig.document import Document, Element, parse_document
from homeport.webconfig.inheritance import Layer
from homeport.webconfig.plan import HostTransform, SiteFacts
from homeport.webconfig.reading import Fault
from homeport.webconfig.schema import check_document
from homeport.webconfig.sections.configuration import TABLE
from homeport.webconfig.sections.fast_cgi import EXTENSION_SETTINGS, Application, read_applications
from homeport.webconfig.xdt import apply_transform
from homeport.windows.layout import Layout
from homeport.windows.variables import windows_variables

FILE = "applicationHost.config"
"""The name in findings of what is wrong after all transforms."""
SITE_TRANSFORM = "applicationhost.xdt"
"""The name of a transform, in lower case."""
MOST_EXTENSIONS = 50
"""Extensions of one site whose transforms are looked for."""
_REFERENCE = re.compile(r"%(\w+)%")
_SECTIONS = (
    "defaultDocument",
    "handlers",
    "httpErrors",
    "httpPlatform",
    "httpProtocol",
    "modules",
    "security",
    "serverRuntime",
    "staticContent",
    "urlCompression",
    "webSocket",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationHost:
    """What the transforms changed: a layer outside the site's own files, registrations, and variables of processes."""

    layer: Layer | None = None
    applications: tuple[Application, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    findings: tuple[Finding, ...] = field(default=())


def gather_transforms(
    names: Callable[[str], Iterable[str] | None],
    read: Callable[[str], bytes | None],
    app_settings: Mapping[str, str],
    *,
    files: tuple[str, ...] = (SITE_TRANSFORM,),
) -> tuple[HostTransform, ...]:
    """Collect a site's transforms: those of its extensions by name, then its own (Kudu reference §7.5).

    `names` lists a folder below /home, `read` gives a file's bytes, None where there is none that may be read. `files` are
    the names that a transform may have, in lower case: of those in a folder the first counts. With the setting
    WEBSITE_PRIVATE_EXTENSIONS=0 there are none.
    """
    settings = {name.upper(): value for name, value in app_settings.items()}
    if settings.get("WEBSITE_PRIVATE_EXTENSIONS", "").strip() == "0":
        return ()
    folders = [f"SiteExtensions/{name}" for name in sorted(names("SiteExtensions") or ())][:MOST_EXTENSIONS]
    found = []
    for folder in (*folders, "site"):
        there = {name.lower(): name for name in names(folder) or ()}
        name = next((there[name] for name in files if name in there), None)
        data = read(f"{folder}/{name}") if name else None
        if data is not None:
            path = "" if folder == "site" else "D:\\home\\" + folder.replace("/", "\\")
            found.append(HostTransform(file=f"{folder}/{name}", data=data, extension_path=path))
    return tuple(found)


def read_application_host(transforms: tuple[HostTransform, ...], facts: SiteFacts) -> ApplicationHost:
    """Apply the transforms in order and read what of the result differs from what every site has."""
    if not transforms:
        return ApplicationHost()
    before, after, findings = transformed(transforms, facts)
    if before is None or after is None:
        return ApplicationHost(findings=tuple(findings))
    return read_changes(before, after, findings, facts)


def transformed(
    transforms: tuple[HostTransform, ...], facts: SiteFacts
) -> tuple[Document | None, Document | None, list[Finding]]:
    """Give the configuration before and after the transforms; one that has errors is left out as a whole."""
    base = render_base(facts)
    data, findings = base.encode(), list[Finding]()
    for transform in transforms:
        text, problem = _expanded(transform, facts)
        if problem is not None:
            findings.append(problem)
            continue
        result = apply_transform(data, text, source_file=FILE, transform_file=transform.file)
        findings += result.findings
        if result.succeeded and result.data is not None:
            data = result.data
        else:
            findings.append(_left_out(transform))
    before, _ = parse_document(base.encode(), file=FILE)
    after, problems = parse_document(data, file=FILE)
    return before, after, [*findings, *problems]


def render_base(facts: SiteFacts) -> str:
    """Return the applicationHost.config of a site before any transform: the parts that transforms look for."""
    applications = "".join(_registration(runtime.folder) for runtime in facts.runtimes)
    sections = "".join(f"    <{name}/>\n" for name in _SECTIONS)
    sites = "".join(
        f'      <site name={quoteattr(name)} id="{number}">\n'
        f'        <application path="/" applicationPool={quoteattr(name)}>\n'
        f'          <virtualDirectory path="/" physicalPath="D:\\home\\site\\wwwroot"/>\n'
        "        </application>\n"
        "      </site>\n"
        for number, name in enumerate((facts.site, scm_site_name(facts)), 1)
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<configuration>\n'
        f"  <system.applicationHost>\n    <sites>\n{sites}    </sites>\n  </system.applicationHost>\n"
        f"  <system.webServer>\n    <fastCgi>\n{applications}    </fastCgi>\n{sections}"
        "    <rewrite>\n      <allowedServerVariables/>\n      <globalRules/>\n    </rewrite>\n"
        "    <runtime>\n      <environmentVariables/>\n    </runtime>\n"
        "  </system.webServer>\n</configuration>\n"
    )


def _registration(folder: str) -> str:
    settings = EXTENSION_SETTINGS
    path = f"D:\\home\\{folder}"
    return (
        f"      <application fullPath={quoteattr(path + chr(92) + 'python.exe')} "
        f"arguments={quoteattr(path + chr(92) + 'wfastcgi.py')} "
        f'maxInstances="{settings.max_instances}" idleTimeout="{settings.idle_timeout_seconds}" '
        f'instanceMaxRequests="{settings.instance_max_requests}" '
        f'signalBeforeTerminateSeconds="{settings.signal_before_terminate_seconds}">\n'
        "        <environmentVariables/>\n      </application>\n"
    )


def scm_site_name(facts: SiteFacts) -> str:
    """Give the name that the SCM site has in the configuration."""
    return f"~1{facts.site}"


def _expanded(transform: HostTransform, facts: SiteFacts) -> tuple[bytes, Finding | None]:
    """Put the values of `%NAME%` into a transform, before it is read as XML (IIS reference §6.5)."""
    variables = transform_variables(transform, facts)
    try:
        text = transform.data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return transform.data, None  # parsing says what is wrong with it, or knows the encoding
    size = len(text)

    def value(match: "re.Match[str]") -> str:
        nonlocal size
        found = variables.get(match[1].upper())
        if found is None:
            return match[0]
        size += len(found)
        return escape(found, {'"': "&quot;"}) if size <= MOST_BYTES else ""

    expanded = _REFERENCE.sub(value, text)
    if size > MOST_BYTES:
        return b"", Finding(
            severity=Severity.ERROR,
            code="webconfig.too-large",
            message="The transform is too large once its variables are replaced; it is left out.",
            file=transform.file,
        )
    return expanded.encode(), None


def transform_variables(transform: HostTransform, facts: SiteFacts) -> Mapping[str, str]:
    """Give what `%NAME%` means in a transform, by names in upper case."""
    known = windows_variables(Layout(), site=facts.site) | dict(facts.app_settings)
    known |= {
        "XDT_SITENAME": facts.site,
        "XDT_SCMSITENAME": scm_site_name(facts),
        "XDT_APPPOOLNAME": facts.site,
        "XDT_EXTENSIONPATH": transform.extension_path,
        "XDT_PRELOADENABLED": "false",
    }
    return {name.upper(): value for name, value in known.items()}


def read_changes(
    before: Document, after: Document, findings: list[Finding], facts: SiteFacts
) -> ApplicationHost:
    """Read what of the configuration after the transforms differs from that before them."""
    old = {child.name: _content(child) for child in _web_server(before)}
    changed = [child for child in _web_server(after) if old.get(child.name) != _content(child)]
    scm = scm_site_name(facts)
    if _hosting(after, without=scm) != _hosting(before, without=scm):
        findings.append(_sites_not_honoured())
    environment: list[tuple[str, str]] = []
    applications: tuple[Application, ...] = ()
    sections: list[Element] = []
    for section in changed:
        if section.name == "runtime":
            environment += _environment(section)
        elif section.name == "fastCgi":
            try:
                applications = read_applications(section)
            except Fault as fault:
                findings.append(fault.finding(FILE))
        else:
            sections.append(section)
    container = Element(
        name="configuration", children=(Element(name="system.webServer", children=tuple(sections)),)
    )
    findings += check_document(Document(file=FILE, root=container), TABLE)
    return ApplicationHost(
        layer=Layer(folder="/", file=FILE, container=container) if sections else None,
        applications=applications,
        environment=tuple(environment),
        findings=tuple(findings),
    )


def _web_server(document: Document) -> list[Element]:
    return [child for group in document.root.named("system.webServer") for child in group.children]


def _hosting(document: Document, *, without: str) -> list[Element]:
    """Give `<system.applicationHost>` without one of its sites."""

    def kept(element: Element) -> Element:
        children = tuple(
            kept(child)
            for child in element.children
            if not (child.name == "site" and child.get("name") == without)
        )
        return replace(element, children=children)

    return [_content(kept(each)) for each in document.root.named("system.applicationHost")]


def _content(element: Element) -> Element:
    """An element without its lines, so that moving it is no change."""
    return replace(element, line=0, children=tuple(_content(child) for child in element.children))


def _environment(runtime: Element) -> list[tuple[str, str]]:
    """Read `<runtime><environmentVariables><add name value>`; of equal names the last counts."""
    found: dict[str, tuple[str, str]] = {}
    for variables in runtime.named("environmentVariables"):
        for add in variables.named("add"):
            name = (add.get("name") or "").strip()
            if name and "=" not in name and "\0" not in name:
                found[name.upper()] = (name, add.get("value") or "")
    return list(found.values())


def _left_out(transform: HostTransform) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        code="xdt.left-out",
        message="The transform has errors and is left out as a whole; the site runs as if it were not there.",
        file=transform.file,
        remedy="Correct it, then restart the site.",
    )


def _sites_not_honoured() -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="webconfig.not-honoured",
        message="Transforms that change <system.applicationHost> (applications, virtual directories) have no effect but for applications below the SCM site.",
        file=FILE,
    )
