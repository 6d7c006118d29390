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
) -> tuple[HostTransform, ...]:
    """Collect a site's transforms: those of its extensions by name, then its own (Kudu reference §7.5).

    `names` lists a folder below /home, `read` gives a file's bytes, None where there is none that may be read. With
    the setting WEBSITE_PRIVATE_EXTENSIONS=0 there are none.
    """
    settings = {name.upper(): value for name, value in app_settings.items()}
    if settings.get("WEBSITE_PRIVATE_EXTENSIONS", "").strip() == "0":
        return ()
    folders = [f"SiteExtensions/{name}" for name in sorted(names("SiteExtensions") or ())][:MOST_EXTENSIONS]
    found = []
    for folder in (*folders, "site"):
        name = next((name for name in names(folder) or () if name.lower() == "applicationhost.xdt"), None)
        data = read(f"{folder}/{name}") if name else None
        if data is not None:
            path = "" if folder == "site" else "D:\\home\\" + folder.replace("/", "\\")
            found.append(HostTransform(file=f"{folder}/{name}", data=data, extension_path=path))
    return tuple(found)


def read_application_host(transforms: tuple[HostTransform, ...], facts: SiteFacts) -> ApplicationHost:
    """Apply the transforms in order and read what of the result differs from what every site has."""
    if not transforms:
        return ApplicationHost()
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
    if before is None or after is None:
        return ApplicationHost(findings=(*findings, *problems))
    return _read(before, after, findings)


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
        for number, name in enumerate((facts.site, f"~1{facts.site}"), 1)
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


def _expanded(transform: HostTransform, facts: SiteFacts) -> tuple[bytes, Finding | None]:
    """Put the values of `%NAME%` into a transform, before it is read as XML (IIS reference §6.5)."""
    variables = _variables(transform, facts)
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


def _variables(transform: HostTransform, facts: SiteFacts) -> Mapping[str, str]:
    known = windows_variables(Layout(), site=facts.site) | dict(facts.app_settings)
    known |= {
        "XDT_SITENAME": facts.site,
        "XDT_SCMSITENAME": f"~1{facts.site}",
        "XDT_APPPOOLNAME": facts.site,
        "XDT_EXTENSIONPATH": transform.extension_path,
        "XDT_PRELOADENABLED": "false",
    }
    return {name.upper(): value for name, value in known.items()}


def _read(before: Document, after: Document, findings: list[Finding]) -> ApplicationHost:
    old = {child.name: _content(child) for child in _web_server(before)}
    changed = [child for child in _web_server(after) if old.get(child.name) != _content(child)]
    if [_content(each) for each in after.root.named("system.applicationHost")] != [
        _content(each) for each in before.root.named("system.applicationHost")
    ]:
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
        message="Transforms that change <system.applicationHost> (applications, virtual directories) have no effect here.",
        file=FILE,
    )
