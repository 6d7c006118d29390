"""Applications below the SCM site: what transforms mount, and what is refused (Kudu reference §7.2, §7.4, §7.5)."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.model.finding import Finding, Severity
from homeport.scm.extensions.nuspec import default_transform
from homeport.webconfig import ConfigurationTree, HostTransform, SiteFacts, compile_plan
from homeport.webconfig.plan import ContentFolder
from homeport.webconfig.scm_site import (
    MOST_APPLICATIONS,
    RESERVED,
    ScmApplication,
    ScmSite,
    gather_scm_transforms,
    read_scm_site,
)

XDT = 'xmlns:xdt="http://schemas.microsoft.com/XML-Document-Transform"'
FOLDER = r"D:\home\SiteExtensions\Tool"
FOLDERS = {
    "/": ["home"],
    "/home": ["SiteExtensions", "site"],
    "/home/SiteExtensions": ["Tool"],
    "/home/SiteExtensions/Tool": ["web"],
    "/home/SiteExtensions/Tool/web": [],
}
FACTS = SiteFacts(site="hello", list_folder=FOLDERS.get)


def application(path: str, physical: str = "%XDT_EXTENSIONPATH%", *, inner: str = "") -> str:
    return (
        f'<application path="{path}" applicationPool="%XDT_APPPOOLNAME%" xdt:Transform="Insert">'
        f'<virtualDirectory path="/" physicalPath="{physical}"/>{inner}</application>'
    )


def transform(*inner: str, site: str = "%XDT_SCMSITENAME%") -> bytes:
    return (
        f'<configuration {XDT}>\n<system.applicationHost><sites><site name="{site}" xdt:Locator="Match(name)">\n'
        + "\n".join(inner)
        + "\n</site></sites></system.applicationHost></configuration>"
    ).encode()


def read(*data: bytes, facts: SiteFacts = FACTS) -> ScmSite:
    return read_scm_site(
        tuple(
            HostTransform(file=f"SiteExtensions/{number}.xdt", data=each, extension_path=FOLDER)
            for number, each in enumerate(data)
        ),
        facts,
    )


def codes(findings: Sequence[Finding]) -> list[str]:
    return [each.code for each in findings]


def test_an_application_is_mounted_where_the_transform_says() -> None:
    site = read(transform(application("/tool"), application("/more/deep", r"%XDT_EXTENSIONPATH%\WEB")))

    assert site.applications == (
        ScmApplication(path="/tool", folder="SiteExtensions/Tool"),
        ScmApplication(path="/more/deep", folder="SiteExtensions/Tool/web"),
    )
    assert not site.findings


def test_the_transform_of_a_package_that_brings_none_mounts_it_under_its_id() -> None:
    site = read(default_transform("Example.Tool"), default_transform("Example.Tool"))

    assert site.applications == (ScmApplication(path="/Example.Tool", folder="SiteExtensions/Tool"),)
    assert not site.findings


def test_applications_of_the_main_site_are_none_of_the_scm_sites() -> None:
    site = read(transform(application("/tool"), site="%XDT_SITENAME%"))

    assert site.applications == ()
    assert codes(site.findings) == ["webconfig.not-honoured"]


def test_an_application_of_the_scm_site_is_no_finding_of_the_main_site() -> None:
    tree = ConfigurationTree(
        files={"": b"<configuration/>"},
        host_transforms=(HostTransform(file="x.xdt", data=transform(application("/tool"))),),
    )
    assert not compile_plan(tree, FACTS).findings


def test_sections_for_the_server_hold_for_the_applications_too() -> None:
    data = (
        f"<configuration {XDT}><system.webServer><runtime><environmentVariables>"
        '<add name="A" value="%XDT_EXTENSIONPATH%" xdt:Transform="Insert"/>'
        "</environmentVariables></runtime></system.webServer></configuration>"
    ).encode()
    assert read(data).host.environment == (("A", FOLDER),)


@pytest.mark.parametrize("first", sorted(RESERVED))
def test_a_path_that_would_hide_the_scm_sites_own_addresses_is_refused(first: str) -> None:
    site = read(transform(application(f"/{first.upper()}/x")))

    assert site.applications == ()
    (finding,) = site.findings
    assert (finding.severity, finding.code) == (Severity.ERROR, "webconfig.scm-path")
    assert (finding.file, finding.line, finding.column) == ("SiteExtensions/0.xdt", 3, 1)


@pytest.mark.parametrize(
    "path",
    [
        "tool",
        "/to ol",
        "/.homeport",
        "/a/../api",
        "/a//b",
        "/a/b/c/d/e",
        "/x.git",
        "/(a|b)",
        "/a$b",
        "/" + 65 * "a",
    ],
)
def test_a_path_that_cannot_be_one_is_refused(path: str) -> None:
    site = read(transform(application(path)))

    assert site.applications == ()
    assert codes(site.findings) == ["webconfig.scm-path"]


@given(st.text(alphabet="/aA.~-_$(){};\\%\"' \n\u00e9", max_size=12))
def test_what_is_mounted_is_a_plain_path(path: str) -> None:
    escaped = path.replace('"', "&quot;").replace("\n", "&#10;")
    for each in read(transform(application(escaped))).applications:
        assert each.path.startswith("/")
        assert set(each.path) <= set("/aA.~-_")
        assert ".." not in each.path.split("/")


def test_the_first_of_two_applications_with_one_path_counts() -> None:
    site = read(transform(application("/tool"), application("/TOOL", r"%XDT_EXTENSIONPATH%\web")))

    assert [each.folder for each in site.applications] == ["SiteExtensions/Tool"]
    assert [(each.code, each.line) for each in site.findings] == [("webconfig.scm-path", 4)]


@pytest.mark.parametrize(
    ("physical", "code"),
    [
        ("", "webconfig.unmapped-path"),
        (r"C:\Windows", "webconfig.unmapped-path"),
        (r"%XDT_EXTENSIONPATH%\..\..\..\local", "webconfig.unmapped-path"),
        (r"%XDT_EXTENSIONPATH%\gone", "webconfig.missing-folder"),
    ],
)
def test_a_folder_that_is_not_there_is_said(physical: str, code: str) -> None:
    site = read(transform(application("/tool", physical)))

    assert site.applications == ()
    assert [(each.code, each.line, each.column) for each in site.findings] == [(code, 3, 1)]


def test_other_virtual_directories_are_said_to_have_no_effect() -> None:
    inner = r'<virtualDirectory path="/more" physicalPath="D:\home\data"/>'
    site = read(transform(application("/tool", inner=inner)))

    assert [each.path for each in site.applications] == ["/tool"]
    assert codes(site.findings) == ["webconfig.not-honoured"]


def test_there_are_so_many_applications_and_no_more() -> None:
    site = read(transform(*(application(f"/tool{number}") for number in range(MOST_APPLICATIONS + 1))))

    assert len(site.applications) == MOST_APPLICATIONS
    assert codes(site.findings) == ["webconfig.scm-path"]


def test_a_broken_transform_is_left_out_with_its_place_and_the_others_count() -> None:
    broken = transform('<application path="/a" xdt:Transform="Insrt"/>')
    site = read(broken, transform(application("/tool")))

    assert [each.path for each in site.applications] == ["/tool"]
    assert codes(site.findings) == ["xdt.unknown-name", "xdt.left-out"]
    assert site.findings[0].line == 3
    assert site.findings[0].column > 0


def test_for_the_scm_site_its_own_file_goes_before_the_other() -> None:
    folders = {
        "SiteExtensions": ["A", "B"],
        "SiteExtensions/A": ["ApplicationHost.xdt", "ScmApplicationHost.xdt"],
        "SiteExtensions/B": ["applicationHost.xdt"],
        "site": ["scmApplicationHost.xdt"],
    }
    found = gather_scm_transforms(folders.get, str.encode, {})

    assert [each.file for each in found] == [
        "SiteExtensions/A/ScmApplicationHost.xdt",
        "SiteExtensions/B/applicationHost.xdt",
        "site/scmApplicationHost.xdt",
    ]
    assert gather_scm_transforms(folders.get, str.encode, {"WEBSITE_PRIVATE_EXTENSIONS": "0"}) == ()


def test_the_pools_of_an_application_are_its_own_and_know_its_folder() -> None:
    data = rb"""<configuration><system.webServer><handlers>
      <add name="Web" path="*" verb="*" modules="httpPlatformHandler"/></handlers>
      <httpPlatform processPath="D:\home\serve.sh" arguments="%HTTP_PLATFORM_PORT%"/></system.webServer></configuration>"""
    mounts = ("", "/tool", "/other")
    contents = [ContentFolder(path="/home/SiteExtensions/Tool", mounted_at=path) for path in mounts]
    plans = [
        compile_plan(ConfigurationTree(files={"": data}), SiteFacts(site="hello", content=content))
        for content in contents
    ]

    assert [plan.http_pools[0].content for plan in plans] == contents
    assert len({plan.http_pools[0].id for plan in plans}) == len(mounts)
