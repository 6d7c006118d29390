"""The patterns of request filtering: the one for usual addresses lets nothing through that another one refuses."""

import re

from hypothesis import given
from hypothesis import strategies as st

from homeport.node.nginx.filtering import filter_entries, usual_addresses, usual_files
from homeport.webconfig.sections.request_filtering import (
    DENIED_EXTENSIONS,
    HIDDEN_SEGMENTS,
    FilteringRule,
    Listing,
    RequestFiltering,
)

PIECES = st.sampled_from(
    [*HIDDEN_SEGMENTS, *DENIED_EXTENSIONS, "/", "/", ".", "-", "_", "BIN", "App_Data", ".CONFIG", "web", "a"]
) | st.text(alphabet="aZ9._-/+%\\ é", max_size=6)
PATHS = st.lists(PIECES, min_size=1, max_size=8).map(lambda pieces: "/" + "".join(pieces))
LONG = st.integers(0, 80).map(lambda count: "/" + "x" * 62 * count) | st.integers(4000, 4200).map("/".__mul__)
QUERIES = st.sampled_from(["", "a=1", "q" * 2048, "q" * 2049])
FILTERINGS = st.builds(
    RequestFiltering,
    hidden_segments=st.lists(st.sampled_from(["bin", "a", "x.y", "web.config", "é"]), max_size=3).map(tuple),
    file_extensions=st.builds(
        Listing,
        entries=st.lists(
            st.tuples(st.sampled_from([".a", ".cs", ".tar.gz", ".", "plain"]), st.booleans()), max_size=3
        ).map(tuple),
        allow_unlisted=st.booleans(),
    ),
    max_url=st.integers(0, 5000),
    max_query_string=st.sampled_from([0, 3, 2048, 100_000]),
    deny_url_sequences=st.sampled_from([(), ("a",)]),
) | st.just(RequestFiltering())


def fits(pattern: str, line: str) -> bool:
    """Match as nginx does: with case or, after `~*`, without."""
    flags = re.IGNORECASE if pattern.startswith("~*") else 0
    expression = pattern.lstrip("~*").replace(r"\z", r"\Z").encode()
    return re.search(expression, line.encode(), flags) is not None


def refusals(filtering: RequestFiltering, line: str) -> list[str]:
    entries = [(str(entry.key.text), str(entry.values[0])) for entry in filter_entries(filtering)]
    return [status for pattern, status in entries if status and fits(pattern, line)]


@given(FILTERINGS, PATHS | LONG, QUERIES)
def test_a_usual_address_is_refused_by_nothing(filtering: RequestFiltering, path: str, query: str) -> None:
    usual = usual_addresses(filtering)
    line = f"GET {query} {path}"
    if usual is not None and fits(usual, line):
        assert refusals(filtering, line) == []


def test_the_addresses_of_an_application_are_usual() -> None:
    usual = usual_addresses(RequestFiltering())
    assert usual is not None
    for path in (
        "/",
        "/orders/2024-11/17",
        "/static/css/site.min_v2/app.bundle.min.css",
        "/favicon.ico",
        "/bins/",
    ):
        assert fits(usual, f"POST page=2&q=%20 {path}"), path
    for path in ("/bin/x", "/a/App_Data", "/x/web.config", "/code.cs", "/a%20b", "/a+b", "/x\\bin", ""):
        assert not fits(usual, f"GET  {path}"), path


EXTENSIONS = (".css", ".a", ".tar.gz", ".x y", ".js", ".cs")


@given(
    FILTERINGS, PATHS | PATHS.map(lambda path: f"{path}.css") | LONG.map(lambda path: f"{path}.a"), QUERIES
)
def test_a_usual_file_is_refused_by_nothing(filtering: RequestFiltering, path: str, query: str) -> None:
    usual = usual_files(filtering, EXTENSIONS)
    line = f"GET {query} {path}"
    if usual is not None and fits(usual, line):
        assert refusals(filtering, line) == []
        assert path.lower().endswith(EXTENSIONS)


def test_the_files_of_a_site_are_usual() -> None:
    usual = usual_files(RequestFiltering(), EXTENSIONS)
    assert usual is not None
    for path in ("/site.css", "/static/CSS/site.min_v2/app.bundle.min.CSS", "/bins/x.js", "/.well-known/x.a"):
        assert fits(usual, f"GET v=2&q=%20 {path}"), path
        assert fits(usual, f"HEAD  {path}"), path
    for line in (
        *("POST  /x.css", "OPTIONS  /x.css", "get  /x.css", "XGET  /x.css", "GETS  /x.css"),
        *("GET  /x.png", "GET  /x", "GET  /x.css/", "GET  /x.css/y", "GET  /css", "GET  /xcss", "GET  x.css"),
        *(
            "GET  /bin/x.css",
            "GET  /code.cs",
            "GET  /a%20b.css",
            "GET  /a+b.css",
            "GET  /x\\y.css",
            "GET  /x.x y",
        ),
        *(f"GET {'q' * 2049} /x.css", f"GET  /{'x' * 4093}.css"),
    ):
        assert not fits(usual, line), line


def test_without_extensions_no_file_is_usual() -> None:
    assert usual_files(RequestFiltering(), ()) is None
    assert usual_files(RequestFiltering(max_url=3), (".css",)) is None
    assert usual_files(RequestFiltering(), (".cs",)) is None  # denied


def test_settings_that_look_at_more_have_no_usual_addresses() -> None:
    for settings in (
        RequestFiltering(rules=(FilteringRule(name="sql", scan_url=True, deny_strings=("--",)),)),
        RequestFiltering(deny_url_sequences=("..",)),
        RequestFiltering(verbs=Listing(entries=(("PUT", False),))),
        RequestFiltering(file_extensions=Listing(allow_unlisted=False)),
        RequestFiltering(file_extensions=Listing(entries=((".", False),))),
    ):
        assert usual_addresses(settings) is None
        assert usual_files(settings, EXTENSIONS) is None
