"""What of a <rewrite> is refused or noticed, and the laws of patterns and texts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.model.finding import Severity
from homeport.webconfig import HostingPlan
from homeport.webconfig.plan import Refuse
from homeport.webconfig.rewriting.pattern import PatternError, Syntax, parse_pattern
from homeport.webconfig.rewriting.template import TemplateError, parse_template

from .sites import codes, compiled, configuration, first

MATCH = '<match url="^a$"/>'
ACTION = '<action type="Rewrite" url="b"/>'


def site(*rules: str, more: str = "") -> HostingPlan:
    text = "\n".join(rules)
    return compiled(
        configuration(
            f"<system.webServer><rewrite>{more}<rules>\n{text}</rules></rewrite></system.webServer>"
        )
    )


def rule(*inside: str, name: str = "r", attributes: str = "") -> str:
    return f'<rule name="{name}" {attributes}>{"".join(inside)}</rule>'


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        (rule(MATCH, ACTION) + rule(MATCH, ACTION), "duplicate-key"),
        (rule(MATCH, ACTION, attributes='enabled="false"') + rule(MATCH, ACTION), "duplicate-key"),
        (f"<rule>{MATCH}{ACTION}</rule>", "missing-attribute"),
        (rule(MATCH, '<action type="Rewrite"/>'), "missing-attribute"),
        (rule(MATCH, '<action type="Redirect" url="/x" redirectType="Sideways"/>'), "invalid-value"),
        (rule(MATCH, '<action type="CustomResponse"/>'), "invalid-value"),
        (rule(MATCH, '<action type="CustomResponse" statusCode="302"/>'), "invalid-value"),
        (rule(MATCH, '<action type="Teleport"/>'), "invalid-value"),
        (rule('<match url="(a"/>', ACTION), "rewrite-pattern"),
        (rule('<match url="a**"/>', ACTION), "rewrite-pattern"),
        (rule('<match url="(?&lt;=a)b"/>', ACTION), "rewrite-pattern"),
        (rule('<match url="[à-é]"/>', ACTION), "rewrite-pattern"),
        (rule('<match url="(.{1,9}){1,9}.{1,99}"/>', ACTION), "rewrite-pattern"),
        (rule('<match url="((a{99}){99}){99}"/>', ACTION), "rewrite-pattern"),
        (rule(MATCH, '<action type="Rewrite" url="{R:1"/>'), "rewrite-text"),
        (rule(MATCH, '<action type="Rewrite" url="{R:x}"/>'), "rewrite-text"),
        (rule(MATCH, '<action type="Rewrite" url="{Nowhere:{R:1}}"/>'), "rewrite-text"),
        (rule(MATCH, '<action type="Rewrite" url="/%0d%0aX"/>'), "rewrite-text"),
        (rule(MATCH, ACTION, attributes='patternSyntax="Perl"'), "invalid-value"),
    ],
)
def test_a_rule_that_cannot_be_used_refuses_the_folder_and_says_where(rules: str, code: str) -> None:
    plan = site(rules)

    error = next(finding for finding in plan.findings if finding.severity is Severity.ERROR)
    assert error.code == f"webconfig.{code}", plan.findings
    assert (error.file, error.line) == ("web.config", 2)
    assert first(plan) == Refuse(status=500, sub_status=19, code=error.code)
    assert plan.rewriting == ()


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        (rule(MATCH, '<action type="Rewrite" url="http://other/{R:0}"/>'), "rewrite-proxy"),
        (rule(MATCH, '<action type="Rewrite" url="/{R:1}"/>'), "rewrite-reference"),
        (rule(MATCH, '<action type="Rewrite" url="/{C:0}"/>'), "rewrite-reference"),
        (rule(MATCH, '<action type="Rewrite" url="/{NO_SUCH}"/>'), "rewrite-reference"),
        (
            rule(MATCH, '<serverVariables><set name="HTTP_X" value="1"/></serverVariables>', ACTION),
            "rewrite-variable",
        ),
        ('<remove name="none"/>', "nothing-to-remove"),
        (rule(MATCH, ACTION, "<odd/>"), "unknown-element"),
    ],
)
def test_what_is_not_honoured_is_named_with_its_line(rules: str, code: str) -> None:
    plan = site(rules)

    found = next(finding for finding in plan.findings if finding.code == f"webconfig.{code}")
    assert (found.file, found.line) == ("web.config", 2)


def outbound(*rules: str, more: str = "") -> HostingPlan:
    return site(more=f"<outboundRules>{''.join(rules)}{more}</outboundRules>")


def outbound_rule(match: str, *, attributes: str = "", conditions: str = "") -> str:
    return (
        f"<rule name='x' {attributes}><match {match}/>{conditions}<action type='Rewrite' value='v'/></rule>"
    )


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (outbound_rule("filterByTags='A' pattern='x'"), "not-honoured"),
        (outbound_rule("serverVariable='HTTP_HOST' pattern='x'"), "not-honoured"),
        (outbound_rule("serverVariable='RESPONSE_STATUS' pattern='x'"), "not-honoured"),
        (outbound_rule("serverVariable='RESPONSE_Server' pattern='x'"), "not-honoured"),
        (outbound_rule("serverVariable='RESPONSE_Content_Length' pattern='x'"), "not-honoured"),
        (outbound_rule("serverVariable='RESPONSE_X:&#34; Y' pattern='x'"), "not-honoured"),
        (outbound_rule("serverVariable='RESPONSE_X'", attributes="preCondition='p'"), "rewrite-precondition"),
        (
            outbound_rule(
                "serverVariable='RESPONSE_X'",
                conditions="<conditions><add input='{URL}' matchType='IsFile'/></conditions>",
            ),
            "not-honoured",
        ),
    ],
)
def test_outbound_rules_that_are_not_honoured_are_left_out_and_named(rule: str, code: str) -> None:
    plan = outbound(rule)

    assert code in codes(plan)
    assert not any(folder.outbound for folder in plan.rewriting)


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ([outbound_rule("serverVariable='RESPONSE_X'")] * 2, "duplicate-key"),
        ([outbound_rule("serverVariable='RESPONSE_X' pattern='('")], "rewrite-pattern"),
        ([outbound_rule("serverVariable='RESPONSE_X'").replace("'v'", "'{None:a}'")], "rewrite-text"),
        (
            [
                outbound_rule("serverVariable='RESPONSE_X'")
                .replace("'v'", f"'{'v' * 2900}'")
                .replace("'x'", f"'{at}'")
                for at in range(9)
            ],
            "too-many-entries",
        ),
    ],
)
def test_outbound_rules_that_iis_refuses_make_the_folder_refuse(rules: list[str], code: str) -> None:
    assert code in codes(outbound(*rules))


def test_references_of_outbound_rules_to_nothing_are_named() -> None:
    rule = outbound_rule("serverVariable='RESPONSE_X' pattern='a'").replace(
        "'v'", "'{R:1}{RESPONSE_Y}{RESPONSE_STATUS}'"
    )

    assert codes(outbound(rule)).count("rewrite-reference") == 1


def test_a_removed_map_that_a_rule_needs_refuses_the_folder() -> None:
    maps = '<rewriteMaps><rewriteMap name="M"/></rewriteMaps>'
    section = f"<system.webServer><rewrite>{maps}<rules>{rule(MATCH, ACTION.replace('b', '{M:b}'))}</rules></rewrite></system.webServer>"
    below = "<system.webServer><rewrite><rewriteMaps><clear/></rewriteMaps></rewrite></system.webServer>"

    plan = compiled(configuration(section), folders={"sub": configuration(below)})

    assert "rewrite-map" in codes(plan)
    assert [folder.folder for folder in plan.rewriting] == ["/", "/sub/"]
    assert plan.rewriting[1].rules == ()


def test_a_folder_as_its_parent_is_left_out() -> None:
    plan = compiled(
        configuration(
            f"<system.webServer><rewrite><rules>{rule(MATCH, ACTION)}</rules></rewrite></system.webServer>"
        ),
        folders={"sub": configuration()},
    )

    assert [folder.folder for folder in plan.rewriting] == ["/"]


plain = st.text("abAB01/.-_ é", max_size=8)


@given(plain, plain)
def test_an_exact_match_finds_itself_alone(written: str, text: str) -> None:
    found = parse_pattern(written, syntax=Syntax.EXACT_MATCH, ignore_case=False).compiled()

    assert bool(found.search(text.encode())) == (written == text)


@given(st.text("ab*?/.", max_size=6), plain)
def test_a_wildcard_pattern_matches_as_its_meaning_says(written: str, text: str) -> None:
    found = parse_pattern(written, syntax=Syntax.WILDCARD, ignore_case=False).compiled()
    meaning = re.escape(written).replace(r"\*", "[^Z]*").replace(r"\?", "[^Z]")

    assert bool(found.search(text.encode())) == bool(re.fullmatch(meaning.encode(), text.encode()))


@given(st.text("ab(|)*+?{1,2}[^]-$.\\dwxsu:=!", max_size=14), st.text("ab1- \n(", max_size=12))
def test_every_expression_is_refused_or_means_the_same_to_python(written: str, text: str) -> None:
    try:
        pattern = parse_pattern(written, syntax=Syntax.ECMASCRIPT)
    except PatternError:
        return
    compiled_pattern = pattern.compiled()

    assert compiled_pattern.groups == pattern.groups + 1
    compiled_pattern.search(text.encode())


@given(st.text(max_size=30))
def test_a_text_without_braces_is_itself(text: str) -> None:
    try:
        template = parse_template(text, maps=())
    except TemplateError:
        return
    if "{" not in text:
        assert template.fixed == text


@given(st.text("{}:RC10amToLowerHTTP_", max_size=20))
def test_every_text_is_refused_or_read(text: str) -> None:
    try:
        template = parse_template(text, maps=("a", "m"))
    except TemplateError:
        return
    assert all(part != "" for part in template.within())


def test_many_folders_with_many_rules_are_refused_as_a_whole() -> None:
    many = "".join(rule(MATCH, ACTION, name=f"r{number}") for number in range(450))
    section = f"<system.webServer><rewrite><rules>{many}</rules></rewrite></system.webServer>"
    one = "<system.webServer><rewrite><rules><remove name='r{}'/></rules></rewrite></system.webServer>"

    plan = compiled(
        configuration(section),
        folders={f"sub{number}": configuration(one.format(number)) for number in range(8)},
    )

    assert "too-many-entries" in codes(plan)
    assert plan.rewriting == ()
    assert isinstance(first(plan), Refuse)


def test_a_fault_is_told_once_however_many_folders_inherit_it() -> None:
    broken = rule('<match url="("/>', ACTION)
    section = f"<system.webServer><rewrite><rules>{broken}</rules></rewrite></system.webServer>"

    plan = compiled(configuration(section), folders={f"sub{n}": configuration() for n in range(50)})

    assert codes(plan).count("rewrite-pattern") == 1
