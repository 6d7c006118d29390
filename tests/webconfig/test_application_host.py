"""applicationHost.xdt: what its changes come to in the plan (IIS reference §6.5, §7.3)."""

from homeport.model.finding import Severity
from homeport.model.site import InstalledRuntime
from homeport.webconfig import ConfigurationTree, HostingPlan, HostTransform, SiteFacts, compile_plan
from homeport.webconfig.application_host import gather_transforms, render_base
from homeport.webconfig.document import parse_document

XDT = 'xmlns:xdt="http://schemas.microsoft.com/XML-Document-Transform"'
CONFIG = rb"""<configuration>
  <appSettings><add key="WSGI_HANDLER" value="app.wsgi_app"/></appSettings>
  <system.webServer>
    <handlers>
      <add name="Python" path="*" verb="*" modules="FastCgiModule"
           scriptProcessor="D:\home\python3117x64\python.exe|D:\home\python3117x64\wfastcgi.py"/>
    </handlers>
  </system.webServer>
</configuration>"""
RUNTIME = InstalledRuntime(
    folder="python3117x64", id="python3117x64", version="3.11.7", build="cpython-3.11.7", base="/usr"
)
FACTS = SiteFacts(site="hello", runtimes=(RUNTIME,), app_settings={"COLOUR": "a<b"})


def compiled(*inner: str, files: dict[str, bytes] | None = None) -> HostingPlan:
    transforms = tuple(
        HostTransform(
            file=f"site/{number}.xdt",
            data=f"<configuration {XDT}>{text}</configuration>".encode(),
            extension_path=r"D:\home\SiteExtensions\Mine",
        )
        for number, text in enumerate(inner)
    )
    tree = ConfigurationTree(files={"": CONFIG} if files is None else files, host_transforms=transforms)
    return compile_plan(tree, FACTS)


def web_server(text: str) -> str:
    return f"<system.webServer>{text}</system.webServer>"


def test_the_base_is_a_configuration_and_changes_no_plan() -> None:
    document, findings = parse_document(render_base(FACTS).encode(), file="x")
    assert document is not None
    assert not findings
    assert compiled("") == compiled()


def test_the_time_limit_of_a_python_is_raised() -> None:
    plan = compiled(
        web_server(
            r'<fastCgi><application fullPath="D:\home\python3117x64\python.exe" requestTimeout="600" '
            'activityTimeout="500" xdt:Transform="SetAttributes(requestTimeout,activityTimeout)" '
            'xdt:Locator="Match(fullPath)"/></fastCgi>'
        )
    )
    (pool,) = plan.pools
    assert (pool.request_timeout_seconds, pool.activity_timeout_seconds) == (600, 500)
    assert pool.max_instances == 16
    assert not plan.findings


def test_web_config_goes_before_the_transform_for_the_same_program() -> None:
    own = CONFIG.replace(
        b"<handlers>",
        rb'<fastCgi><application fullPath="D:\home\python3117x64\python.exe" '
        rb'arguments="D:\home\python3117x64\wfastcgi.py" maxInstances="3"/></fastCgi><handlers>',
    )
    transform = '<fastCgi><application maxInstances="5" xdt:Transform="SetAttributes"/></fastCgi>'
    (pool,) = compiled(web_server(transform), files={"": own}).pools
    assert pool.max_instances == 3


def test_variables_for_every_process_are_added_with_their_references_replaced() -> None:
    plan = compiled(
        web_server(
            '<runtime><environmentVariables><add name="FROM" value="%XDT_EXTENSIONPATH% %xdt_sitename% %COLOUR% %NONE%" '
            'xdt:Transform="InsertIfMissing" xdt:Locator="Match(name)"/></environmentVariables></runtime>'
        )
    )
    (pool,) = plan.pools
    assert pool.environment_variables == (("FROM", r"D:\home\SiteExtensions\Mine hello a<b %NONE%"),)


def test_a_handler_of_the_server_comes_after_those_of_the_site() -> None:
    handler = '<add name="X" path="*.x" verb="*" modules="StaticFileModule" xdt:Transform="Insert"/>'
    plan = compiled(web_server(f"<handlers>{handler}</handlers>"))
    assert [rule.path for rule in plan.rules][:2] == ["*", "*.x"]


def test_a_broken_transform_is_left_out_and_the_others_apply() -> None:
    wrong = web_server('<fastCgi><application maxInstances="1" xdt:Transform="SetAttribute"/></fastCgi>')
    right = web_server('<fastCgi><application maxInstances="2" xdt:Transform="SetAttributes"/></fastCgi>')
    plan = compiled(wrong, right)
    assert plan.pools[0].max_instances == 2
    errors = [each for each in plan.findings if each.severity is Severity.ERROR]
    assert [(each.file, each.code) for each in errors] == [
        ("site/0.xdt", "xdt.unknown-name"),
        ("site/0.xdt", "xdt.left-out"),
    ]


def test_virtual_directories_are_said_to_have_no_effect() -> None:
    plan = compiled(
        '<system.applicationHost><sites><site name="%XDT_SITENAME%" xdt:Locator="Match(name)">'
        '<application path="/x" xdt:Transform="Insert"/></site></sites></system.applicationHost>'
    )
    assert [each.code for each in plan.findings] == ["webconfig.not-honoured"]


def test_a_variable_that_makes_the_transform_too_large_is_refused() -> None:
    many = "%COLOUR%" * 120_000
    tree = ConfigurationTree(
        files={"": CONFIG}, host_transforms=(HostTransform(file="site/x", data=f"<a>{many}</a>".encode()),)
    )
    facts = SiteFacts(site="hello", runtimes=(RUNTIME,), app_settings={"COLOUR": "x" * 30_000})
    assert [each.code for each in compile_plan(tree, facts).findings] == ["webconfig.too-large"]


def test_transforms_are_found_in_extensions_and_in_the_site_unless_switched_off() -> None:
    files = {
        "SiteExtensions": ["Mine", "Other"],
        "SiteExtensions/Mine": ["ApplicationHost.xdt"],
        "SiteExtensions/Other": ["readme.txt"],
        "site": ["applicationHost.xdt", "wwwroot"],
    }
    found = gather_transforms(files.get, str.encode, {})
    assert [(each.file, each.extension_path) for each in found] == [
        ("SiteExtensions/Mine/ApplicationHost.xdt", r"D:\home\SiteExtensions\Mine"),
        ("site/applicationHost.xdt", ""),
    ]
    assert gather_transforms(files.get, str.encode, {"website_private_extensions": "0"}) == ()
