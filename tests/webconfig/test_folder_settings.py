"""The sections beside handlers: what each means, and what a folder has of those above it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.webconfig.bounds import LONGEST_TEXT, MOST_ENTRIES
from homeport.webconfig.folder_settings import FolderSettings
from homeport.webconfig.plan import Refuse
from homeport.webconfig.sections.default_document import DEFAULT_DOCUMENTS
from homeport.webconfig.sections.static_content import DEFAULT_TYPES

from .sites import codes, compiled, configuration, first


def server(*parts: str) -> str:
    return configuration(f"<system.webServer>{''.join(parts)}</system.webServer>")


def settings(*parts: str) -> FolderSettings:
    return compiled(server(*parts)).settings_of("/")


def refused(*parts: str) -> str:
    action = first(compiled(server(*parts)))
    assert isinstance(action, Refuse)
    assert (action.status, action.sub_status) == (500, 19)
    return action.code.removeprefix("webconfig.")


# Files


def test_types_are_added_removed_and_replaced() -> None:
    types = dict(
        settings(
            '<staticContent><remove fileExtension=".TXT"/><mimeMap fileExtension=".Py" mimeType="text/x-python"/>'
            '<mimeMap fileExtension=".json" mimeType="text/json"/></staticContent>'
        ).static_content.mime_types
    )

    assert ".txt" not in types
    assert (types[".py"], types[".json"], types[".css"]) == ("text/x-python", "text/json", "text/css")


def test_an_extension_that_the_site_itself_has_twice_is_refused() -> None:
    twice = '<mimeMap fileExtension=".a" mimeType="a/b"/><mimeMap fileExtension="a" mimeType="a/c"/>'

    assert refused(f"<staticContent>{twice}</staticContent>") == "duplicate-key"
    assert refused('<staticContent><mimeMap fileExtension=".a" mimeType="no type"/></staticContent>') == (
        "invalid-value"
    )


@pytest.mark.parametrize(
    ("attributes", "headers"),
    [
        ("", ()),
        ('cacheControlMode="DisableCache"', (("Cache-Control", "no-cache"),)),
        ('cacheControlMode="usemaxage"', (("Cache-Control", "max-age=86400"),)),
        (
            'cacheControlMode="UseMaxAge" cacheControlMaxAge="365.00:00:01" cacheControlCustom="public"',
            (("Cache-Control", "public,max-age=31536001"),),
        ),
        (
            'cacheControlMode="UseExpires" httpExpires="Tue, 19 Jan 2038 03:14:07 GMT"',
            (("Expires", "Tue, 19 Jan 2038 03:14:07 GMT"),),
        ),
    ],
)
def test_cache_headers(attributes: str, headers: tuple[tuple[str, str], ...]) -> None:
    found = settings(f"<staticContent><clientCache {attributes}/></staticContent>")

    assert found.static_content.cache_headers == headers


@pytest.mark.parametrize("value", ["1", "x", "25:00:00", "1.00:00:99", "", "-1.00:00:00"])
def test_what_is_no_time_span_is_refused(value: str) -> None:
    assert (
        refused(f'<staticContent><clientCache cacheControlMaxAge="{value}"/></staticContent>')
        == "invalid-value"
    )


def test_default_documents_of_a_folder_go_before_those_inherited() -> None:
    plan = compiled(
        server('<defaultDocument><files><add value="a.htm"/><add value="b.htm"/></files></defaultDocument>'),
        folders={
            "x": server(
                '<defaultDocument><files><add value="c.htm"/><remove value="B.HTM"/></files></defaultDocument>'
            ),
            "y": server("<defaultDocument><files><clear/></files></defaultDocument>"),
            "z": server('<defaultDocument enabled="false"/>'),
        },
    )

    assert plan.settings_of("/x/").default_document.tried == ("c.htm", "a.htm", *DEFAULT_DOCUMENTS)
    assert plan.settings_of("/y/").default_document.tried == ()
    assert plan.settings_of("/z/").default_document.tried == ()


@pytest.mark.parametrize("name", ["../x.htm", "/etc/passwd", "a\\..\\..\\b", "\\x"])
def test_a_default_document_lies_in_its_folder(name: str) -> None:
    assert (
        refused(f'<defaultDocument><files><add value="{name}"/></files></defaultDocument>') == "invalid-value"
    )


# Headers


def test_headers_are_merged_without_case() -> None:
    plan = compiled(
        server(
            '<httpProtocol><customHeaders><add name="X-A" value="1"/><add name="X-B" value=""/></customHeaders></httpProtocol>'
        ),
        folders={
            "x": server(
                '<httpProtocol allowKeepAlive="false"><customHeaders><remove name="x-a"/><remove name="X-Powered-By"/><add name="X-C" value="$host;"/></customHeaders></httpProtocol>'
            ),
        },
    )

    assert plan.settings_of("/").http_protocol.custom_headers == (("X-A", "1"), ("X-B", ""))
    assert plan.settings_of("/x/").http_protocol.custom_headers == (("X-B", ""), ("X-C", "$host;"))
    assert not plan.settings_of("/x/").http_protocol.allow_keep_alive


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ('name="X Y" value="1"', "invalid-value"),
        ('name="X" value="a&#13;&#10;Set-Cookie: b"', "invalid-value"),
        (f'name="X" value="{"x" * (LONGEST_TEXT + 1)}"', "invalid-value"),
        ('value="1"', "missing-attribute"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused(header: str, code: str) -> None:
    assert refused(f"<httpProtocol><customHeaders><add {header}/></customHeaders></httpProtocol>") == code


def test_a_header_that_frames_answers_is_told() -> None:
    header = '<add name="Content-Length" value="5"/>'

    assert codes(
        compiled(server(f"<httpProtocol><customHeaders>{header}</customHeaders></httpProtocol>"))
    ) == ["not-honoured"]


def test_web_sockets_are_on_until_switched_off() -> None:
    plan = compiled(
        server('<webSocket enabled="false"/>'), folders={"ws": server('<webSocket enabled="true"/>')}
    )

    assert compiled().settings_of("/").web_socket
    assert not plan.settings_of("/").web_socket
    assert plan.settings_of("/ws/").web_socket


# Request filtering


def test_what_is_filtered_can_be_changed_in_a_folder() -> None:
    filtering = (
        '<security><requestFiltering allowDoubleEscaping="true">'
        '<requestLimits maxAllowedContentLength="1000" maxUrl="99999"><headerLimits><add header="X-A" sizeLimit="5"/></headerLimits></requestLimits>'
        '<hiddenSegments><remove segment="BIN"/><add segment="Secret"/></hiddenSegments>'
        '<fileExtensions allowUnlisted="false"><clear/><add fileExtension=".HTML" allowed="true"/></fileExtensions>'
        '<verbs><add verb="DELETE" allowed="false"/></verbs>'
        "</requestFiltering></security>"
    )
    found = settings(filtering).request_filtering

    assert found.allow_double_escaping
    assert (found.max_content_length, found.max_url) == (1000, 16_384)
    assert found.header_limits == (("x-a", 5),)
    assert "bin" not in found.hidden_segments
    assert found.hidden_segments[-1] == "secret"
    assert (found.file_extensions.allow_unlisted, found.file_extensions.allowed) == (False, (".html",))
    assert found.verbs.denied == ("DELETE",)


def test_a_segment_that_is_hidden_already_is_refused_as_iis_does() -> None:
    segment = '<add segment="bin"/>'

    assert refused(
        f"<security><requestFiltering><hiddenSegments>{segment}</hiddenSegments></requestFiltering></security>"
    ) == ("duplicate-key")


def test_filtering_rules() -> None:
    rule = (
        '<filteringRule name="no bots" scanUrl="true" scanQueryString="true"><scanHeaders><add requestHeader="User-Agent"/>'
        '</scanHeaders><appliesTo><add fileExtension=".php"/></appliesTo><denyStrings><add string="Bot"/></denyStrings></filteringRule>'
    )

    (found,) = settings(
        f"<security><requestFiltering><filteringRules>{rule}</filteringRules></requestFiltering></security>"
    ).request_filtering.rules
    assert (found.scan_url, found.scan_query_string, found.scan_headers) == (True, True, ("user-agent",))
    assert (found.applies_to, found.deny_strings) == ((".php",), ("bot",))


# Collections


NAMES = st.sampled_from(["a", "b", "c", "d"])
CHANGES = st.lists(
    st.one_of(st.tuples(st.just("add"), NAMES), st.tuples(st.just("remove"), NAMES), st.just(("clear", ""))),
    max_size=6,
)


def model(levels: list[list[tuple[str, str]]], *, prepend: bool) -> list[str] | None:
    """What the entries are after all levels; None where a key is added twice."""
    present: list[str] = []
    for level in levels:
        own: list[str] = []
        for what, name in level:
            if what == "clear":
                present, own = [], []
            elif what == "remove":
                present = [known for known in present if known != name]
                own = [known for known in own if known != name]
            elif name in present or name in own:
                return None
            else:
                own.append(name)
        present = own + present if prepend else present + own
    return present


def xml(changes: list[tuple[str, str]], attribute: str, more: str = "") -> str:
    return "".join(
        "<clear/>" if what == "clear" else f'<{what} {attribute}="{name}"{more if what == "add" else ""}/>'
        for what, name in changes
    )


@given(st.lists(CHANGES, min_size=1, max_size=4))
def test_collections_merge_level_by_level(levels: list[list[tuple[str, str]]]) -> None:
    """Appending ones and prepending ones, in nested files and in locations."""
    texts = []
    for level in [[("clear", "")], *levels]:
        headers = xml(level, "name", ' value="v"')
        texts.append(
            f"<httpProtocol><customHeaders>{headers}</customHeaders></httpProtocol>"
            f"<defaultDocument><files>{xml(level, 'value')}</files></defaultDocument>"
        )
    folders = {"/".join("x" * at): server(text) for at, text in enumerate(texts)}
    deepest = "/" + "x/" * (len(texts) - 1)
    plan = compiled(folders.pop(""), folders=folders)
    located = compiled(
        configuration(
            *(
                f'<location path="{"/".join("x" * at)}"><system.webServer>{text}</system.webServer></location>'
                for at, text in enumerate(texts)
            )
        )
    )

    for made in (plan, located):
        place = max((rule.folder for rule in made.rules if deepest.startswith(rule.folder)), key=len)
        found = made.settings_of(place)
        appended, prepended = model(levels, prepend=False), model(levels, prepend=True)
        if appended is None:
            assert "duplicate-key" in codes(made)
        else:
            assert [name for name, _ in found.http_protocol.custom_headers] == appended
            assert list(found.default_document.files) == prepended


def test_a_folder_that_says_nothing_new_has_no_entry_of_its_own() -> None:
    plan = compiled(
        server('<webSocket enabled="false"/>'), folders={"a": server('<webSocket enabled="false"/>')}
    )

    assert [place.folder for place in plan.places] == ["/"]


def test_a_broken_section_refuses_its_folder_only() -> None:
    plan = compiled(server(), folders={"a": server('<webSocket enabled="perhaps"/>')})

    assert isinstance(first(plan, "/a/"), Refuse)
    assert not isinstance(first(plan), Refuse)
    assert [(found.file, found.line) for found in plan.findings] == [("a/web.config", 1)]


def test_too_many_folders_with_settings_of_their_own_are_refused() -> None:
    folders = {
        f"f{at}": server(
            f'<httpProtocol><customHeaders><add name="X" value="{at}"/></customHeaders></httpProtocol>'
        )
        for at in range(150)
    }

    assert first(compiled(server(), folders=folders)) == Refuse(
        status=500, sub_status=19, code="webconfig.too-many-entries"
    )


def test_a_list_that_many_levels_add_to_is_bounded() -> None:
    def many(level: int) -> str:
        entries = "".join(
            f'<mimeMap fileExtension=".{level}x{at}" mimeType="a/b"/>' for at in range(MOST_ENTRIES // 2)
        )
        return server(f"<staticContent>{entries}</staticContent>")

    assert first(compiled(many(0), folders={"a": many(1)}), "/a/") == Refuse(
        status=500, sub_status=19, code="webconfig.too-many-entries"
    )


def test_the_defaults_are_the_platforms_own() -> None:
    assert compiled().settings_of("/") == FolderSettings()
    assert dict(DEFAULT_TYPES)[".css"] == "text/css"
