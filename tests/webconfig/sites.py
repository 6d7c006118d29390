"""Small sites to compile."""

from collections.abc import Mapping

from homeport.model.finding import Finding, Severity
from homeport.model.site import InstalledRuntime
from homeport.webconfig import ConfigurationTree, FastCgiPool, HostingPlan, SiteFacts, compile_plan
from homeport.webconfig.plan import Action, Rule

PYTHON = r"D:\home\Python361x64\python.exe|D:\home\Python361x64\wfastcgi.py"


def runtime(folder: str = "python361x64", version: str = "3.6.15") -> InstalledRuntime:
    return InstalledRuntime(
        folder=folder, id=folder, version=version, build=f"cpython-{version}", base=f"/opt/cpython-{version}"
    )


def handler(name: str = "PythonHandler", *, path: str = "*", verb: str = "*", more: str = "") -> str:
    if "modules=" not in more and "type=" not in more:
        more += f' modules="FastCgiModule" scriptProcessor="{PYTHON}"'
    return f'<add name="{name}" path="{path}" verb="{verb}" {more}/>'


def handlers(*entries: str, attributes: str = "") -> str:
    return f"<system.webServer><handlers {attributes}>{''.join(entries)}</handlers></system.webServer>"


def settings(**values: str) -> str:
    entries = "".join(f'<add key="{key}" value="{value}"/>' for key, value in values.items())
    return f"<appSettings>{entries}</appSettings>"


def configuration(*parts: str) -> str:
    return f"<configuration>{''.join(parts)}</configuration>"


def python_site(*more: str) -> str:
    return configuration(settings(WSGI_HANDLER="app.wsgi_app"), handlers(handler()), *more)


def compiled(
    root: str | bytes | None = None,
    *,
    folders: Mapping[str, str | bytes] | None = None,
    runtimes: tuple[InstalledRuntime, ...] = (runtime(),),
    app_settings: Mapping[str, str] | None = None,
    disk: Mapping[str, list[str]] | None = None,
) -> HostingPlan:
    files = {} if root is None else {"": root}
    files |= folders or {}
    return compile_plan(
        ConfigurationTree(
            files={folder: text.encode() if isinstance(text, str) else text for folder, text in files.items()}
        ),
        SiteFacts(
            site="hello",
            runtimes=runtimes,
            app_settings=app_settings or {},
            list_folder=None if disk is None else disk.get,
        ),
    )


def rules(plan: HostingPlan, folder: str = "/") -> list[Rule]:
    return [rule for rule in plan.rules if rule.folder == folder]


def first(plan: HostingPlan, folder: str = "/") -> Action:
    return rules(plan, folder)[0].action


def pool(plan: HostingPlan) -> FastCgiPool:
    (only,) = plan.pools
    return only


def codes(plan: HostingPlan) -> list[str]:
    return [finding.code.removeprefix("webconfig.") for finding in plan.findings]


def errors(plan: HostingPlan) -> list[Finding]:
    return [finding for finding in plan.findings if finding.severity is Severity.ERROR]
