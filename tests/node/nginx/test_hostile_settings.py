"""Whatever a web.config holds, what nginx reads has the same directives, and nginx takes it.

From the bytes of the file to the text of the configuration: every attribute that reaches it, with hostile values.
"""

import time
from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeport.model.errors import Invalid
from homeport.node.nginx.server import render_site
from homeport.webconfig import ConfigurationTree, HostingPlan, SiteFacts, compile_plan
from webconfig.sites import runtime

from .running import Folders, check

PYTHON = r"D:\home\Python361x64\python.exe|D:\home\Python361x64\wfastcgi.py"
SECTIONS = (
    '<staticContent><mimeMap fileExtension={} mimeType="a/b"/></staticContent>',
    '<staticContent><mimeMap fileExtension=".x" mimeType={}/></staticContent>',
    "<staticContent><clientCache cacheControlCustom={}/></staticContent>",
    '<staticContent><clientCache cacheControlMode="UseExpires" httpExpires={}/></staticContent>',
    "<defaultDocument><files><add value={}/></files></defaultDocument>",
    '<httpProtocol><customHeaders><add name={} value="1"/></customHeaders></httpProtocol>',
    '<httpProtocol><customHeaders><add name="X-A" value={}/></customHeaders></httpProtocol>',
    '<httpProtocol><redirectHeaders><add name="X-A" value={}/></redirectHeaders></httpProtocol>'
    '<httpRedirect enabled="true" destination="/"/>',
    '<httpRedirect enabled="true" destination={}/>',
    '<httpRedirect enabled="true" exactDestination="true" destination={}/>',
    '<httpRedirect enabled="true"><add wildcard={} destination="/$1"/></httpRedirect>',
    '<httpRedirect enabled="true"><add wildcard="*" destination={}/></httpRedirect>',
    '<httpErrors><error statusCode="404" path={}/></httpErrors>',
    '<httpErrors><error statusCode="404" subStatusCode="8" path="a" prefixLanguageFilePath={}/></httpErrors>',
    '<httpErrors><error statusCode="500" responseMode="ExecuteURL" path={}/></httpErrors>',
    '<httpErrors><error statusCode="403" responseMode="Redirect" path={}/></httpErrors>',
    "<security><requestFiltering><hiddenSegments><add segment={}/></hiddenSegments></requestFiltering></security>",
    '<security><requestFiltering><fileExtensions><add fileExtension={} allowed="false"/></fileExtensions>'
    "</requestFiltering></security>",
    '<security><requestFiltering><fileExtensions allowUnlisted="false"><add fileExtension={} allowed="true"/>'
    "</fileExtensions></requestFiltering></security>",
    '<security><requestFiltering><verbs><add verb={} allowed="false"/></verbs></requestFiltering></security>',
    '<security><requestFiltering><verbs allowUnlisted="false"><add verb={} allowed="true"/></verbs>'
    "</requestFiltering></security>",
    "<security><requestFiltering><denyUrlSequences><add sequence={}/></denyUrlSequences>"
    '<alwaysAllowedUrls><add url="x"/></alwaysAllowedUrls></requestFiltering></security>',
    "<security><requestFiltering><alwaysAllowedUrls><add url={}/></alwaysAllowedUrls>"
    '<denyUrlSequences><add sequence="x"/></denyUrlSequences></requestFiltering></security>',
    "<security><requestFiltering><denyQueryStringSequences><add sequence={}/></denyQueryStringSequences>"
    "</requestFiltering></security>",
    '<security><requestFiltering><requestLimits><headerLimits><add header={} sizeLimit="9"/></headerLimits>'
    "</requestLimits></requestFiltering></security>",
    '<security><requestFiltering><filteringRules><filteringRule name="r" scanUrl="true" scanQueryString="true">'
    '<scanHeaders><add requestHeader="X-A"/></scanHeaders><appliesTo><add fileExtension={}/></appliesTo>'
    "<denyStrings><add string={}/></denyStrings></filteringRule></filteringRules></requestFiltering></security>",
    "<security><ipSecurity><add ipAddress={}/></ipSecurity></security>",
    '<security><authorization><clear/><add accessType="Allow" users="*" verbs={}/></authorization></security>',
    "<httpCompression><staticTypes><add mimeType={}/></staticTypes></httpCompression>",
    f'<handlers><add name="H" path={{}} verb="*" modules="FastCgiModule" scriptProcessor="{PYTHON}"/></handlers>',
    f'<handlers><add name="H" path="x" verb={{}} modules="FastCgiModule" scriptProcessor="{PYTHON}"/></handlers>',
)
HARMLESS = ("a.html", ".x", "/a", "GET", "text/x", "X-A", "127.0.0.1", "*.b", "a")
NASTY = (
    "};include /etc/passwd;{",
    '"; } } server { listen 1; } "',
    "$host$uri${args}",
    "\\",
    "a\\",
    '\\"',
    "'",
    "~*",
    "= /",
    "@homeport_failed",
    "(a+)+$",
    "[z",
    "(?{x})",
    "\\E\\Q\\K",
    "*" * 9,
    "#",
    "a b\tc",
    "\r\nSet-Cookie: a=b",
    "é" * 70,
    "\U0001f40d" * 36,
    "%00%0a$1$2",
    '"' * 140,
    "\\" * 140,
    "$" * 140,
    "x" * 1000,
    "x" * 100_000,
)


def configuration(values: dict[int, str]) -> bytes:
    """Make a file with a location for each section, so that one which is refused takes none along."""
    locations = [
        f'<location path="l{at}"><system.webServer>{SECTIONS[at].replace("{}", quoteattr(value, {chr(13): "&#13;", chr(10): "&#10;", chr(9): "&#9;"}))}'
        "</system.webServer></location>"
        for at, value in values.items()
    ]
    return f"<configuration>{''.join(locations)}</configuration>".encode()


def compiled(data: bytes) -> HostingPlan:
    return compile_plan(ConfigurationTree(files={"": data}), SiteFacts(site="hello", runtimes=(runtime(),)))


def directives(text: str) -> Iterator[str]:
    """Name the directives that nginx would find, but for the lines of tables: an independent reader."""
    at, first, tables = 0, True, [False]
    word = ""
    while at < len(text):
        character = text[at]
        if character in " \t\r\n":
            at += 1
        elif character in "{};":
            first = True
            if character == "{":
                tables.append(word in {"map", "geo", "types"})
            elif character == "}":
                tables.pop()
            at += 1
        else:
            token, at = _token(text, at)
            if first and not tables[-1]:
                yield token
                word = token
            elif first:
                word = ""
            first = False
    assert tables == [False]


def _token(text: str, at: int) -> tuple[str, int]:
    if text[at] not in "\"'":
        end = at
        while text[end] not in " \t\r\n;{":
            end += 1
        return text[at:end], end
    end = at + 1
    while text[end] != text[at]:
        end += 2 if text[end] == "\\" else 1
    assert text[end + 1] in " \t\r\n;{)", text[at : end + 20]
    return text[at + 1 : end], end + 1


def rendered(folders: Folders, data: bytes) -> str:
    return render_site(folders.site(compiled(data), sockets=_Sockets()))


class _Sockets(dict[str, str]):
    def __missing__(self, _: str) -> str:
        return "/run/x.sock"


@pytest.fixture
def known(folders: Folders) -> set[str]:
    """The directives of the same sections with harmless values."""
    return {
        name
        for value in HARMLESS
        for name in directives(rendered(folders, configuration(dict.fromkeys(range(len(SECTIONS)), value))))
    }


@pytest.mark.parametrize("value", NASTY, ids=range(len(NASTY)))
def test_a_hostile_value_changes_no_structure(value: str, folders: Folders, known: set[str]) -> None:
    text = rendered(folders, configuration(dict.fromkeys(range(len(SECTIONS)), value)))

    assert set(directives(text)) <= known
    judged = check(folders, text)
    assert judged.returncode == 0, judged.stderr


HOSTILE = st.text(
    alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=60
) | st.text(alphabet="{};#\"'\\$ ~=@*()[]|?+.^%/nrt1S", max_size=60)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(HOSTILE, min_size=len(SECTIONS), max_size=len(SECTIONS)))
def test_no_values_change_the_structure(folders: Folders, known: set[str], values: list[str]) -> None:
    usable = {
        at: "".join(character for character in value if character.isprintable())
        for at, value in enumerate(values)
    }
    text = rendered(folders, configuration(usable))

    assert set(directives(text)) <= known
    judged = check(folders, text)
    assert judged.returncode == 0, judged.stderr


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(SECTIONS) - 1), HOSTILE)
def test_no_value_in_any_place_changes_the_structure(
    folders: Folders, known: set[str], place: int, value: str
) -> None:
    printable = "".join(character for character in value if character.isprintable())

    assert set(directives(rendered(folders, configuration({place: printable})))) <= known


def test_a_monstrous_file_is_done_with_at_once(folders: Folders) -> None:
    """A megabyte of one attribute, of entries, and of locations: bounded, with a finding."""
    started = time.process_time()
    entries = "".join(f'<add name="H{at}" value="v"/>' for at in range(15_000))
    for data in (
        configuration({6: "x" * 900_000}),
        f"<configuration><system.webServer><httpProtocol><customHeaders>{entries}</customHeaders></httpProtocol>"
        "</system.webServer></configuration>".encode(),
        b"<configuration>" + b"<location path='a'/>" * 15_000 + b"</configuration>",
        b"<configuration a='" + b"x" * 11_000_000 + b"'/>",
        b"<a>" * 300_000,
    ):
        plan = compiled(data)
        assert plan.findings
        try:
            render_site(folders.site(plan, sockets=_Sockets()))
        except Invalid as error:
            pytest.fail(f"The text cannot be written: {error.message}")
    assert time.process_time() - started < 30
