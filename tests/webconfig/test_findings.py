"""What is said about pieces of web.config that are unknown or not honoured."""

import pytest

from homeport.model.finding import Severity
from homeport.webconfig.schema import ElementRow, Support
from homeport.webconfig.sections.configuration import TABLE

from .sites import codes, compiled, configuration, handler, handlers, python_site


def said(*parts: str) -> list[tuple[str, int, str]]:
    plan = compiled(configuration("\n", *parts))
    return [(found.code.removeprefix("webconfig."), found.line, found.remedy) for found in plan.findings]


@pytest.mark.parametrize(
    "name", ["caching", "serverRuntime", "tracing", "applicationInitialization", "httpLogging"]
)
def test_a_section_that_iis_knows_is_named_with_its_line(name: str) -> None:
    text = f"<system.webServer>\n<{name}><anything here='1'/></{name}></system.webServer>"

    assert [found[:2] for found in said(text)] == [("not-honoured", 3)]


def test_an_unknown_element_is_told_with_the_nearest_name() -> None:
    assert said("<appSetings/>") == [("unknown-element", 2, "Did you mean 'appSettings'?")]
    assert said("<system.webServer><Handlers/></system.webServer>") == [
        ("unknown-element", 2, "Did you mean 'handlers'?")
    ]
    assert said("<qqqqqq/>") == [("unknown-element", 2, "Remove it, or correct its name.")]


def test_an_unknown_attribute_is_told_with_the_nearest_name() -> None:
    plan = compiled(
        configuration(handlers(handler(path="x", more='resourcetype="File" modules="StaticFileModule"')))
    )

    assert [(found.code, found.remedy) for found in plan.findings] == [
        ("webconfig.unknown-attribute", "Did you mean 'resourceType'?")
    ]


def test_an_attribute_that_is_not_honoured_is_told() -> None:
    text = '<system.webServer><staticContent enableDocFooter="true"/></system.webServer>'

    assert said(text) == [("not-honoured", 2, "")]


@pytest.mark.parametrize(
    "text",
    [
        "<system.web><compilation debug='true'/></system.web>",
        "<system.diagnostics/>",
        "<runtime/>",
        "<system.webServer><modules runAllManagedModulesForAllRequests='true'/></system.webServer>",
        '<configSections><section name="mine" type="T"/><sectionGroup name="group"/></configSections><mine/><group/>',
    ],
)
def test_what_concerns_dot_net_alone_is_passed_over(text: str) -> None:
    assert said(text) == []


def test_an_attribute_of_another_name_space_is_unknown() -> None:
    text = python_site().replace(
        "<appSettings>",
        '<appSettings xmlns:xdt="http://schemas.microsoft.com/XML-Document-Transform" xdt:Transform="Insert">',
    )

    assert codes(compiled(text)) == ["unknown-attribute"]


def test_findings_name_their_file() -> None:
    plan = compiled(python_site(), folders={"a/b": configuration("<nope/>")})

    assert [found.file for found in plan.findings] == ["a/b/web.config"]


def test_no_finding_shows_a_connection_string() -> None:
    text = configuration(
        '<connectionStrings><add name="db" connectionString="password=hunter2"/></connectionStrings>'
    )

    plan = compiled(text, folders={"x": text})

    assert plan.connection_strings == (("CUSTOMCONNSTR_db", "password=hunter2"),)
    assert [(found.severity, found.file) for found in plan.findings] == [(Severity.WARNING, "x/web.config")]
    assert "hunter2" not in str(plan)


def test_every_partial_row_says_what_differs() -> None:
    def rows(row: ElementRow) -> list[ElementRow]:
        return [row, *(below for child in row.children for below in rows(child))]

    for row in rows(TABLE):
        assert row.note or row.support is not Support.PARTIAL, row.name
        for attribute in row.attributes:
            assert attribute.note or attribute.support is not Support.PARTIAL, (row.name, attribute.name)
        assert len({child.name for child in row.children}) == len(row.children)


def test_all_faults_of_a_folder_are_told_at_once() -> None:
    found = said(
        "<system.webServer>",
        "\n<staticContent><mimeMap fileExtension='.x'/></staticContent>",
        "\n<httpErrors><error statusCode='1' path='x'/></httpErrors>",
        "\n<handlers><add name='cgi' path='*.cgi' verb='*' modules='CgiModule'/></handlers>",
        "\n<rewrite><rules><rule name='a'><action type='Fly'/></rule></rules></rewrite>",
        "</system.webServer>",
    )

    assert {line for _, line, _ in found} == {3, 4, 5, 6}
