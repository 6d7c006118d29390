"""The rules of a plan as a real nginx keeps them: which request reaches what."""

import fnmatch
import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.node.nginx.rules import pattern
from homeport.webconfig.plan import Action, AnswerOptions, FastCgi, Refuse, ResourceType, Rule, StaticFiles

from .running import POOL, FcgiApp, Folders, Nginx, fcgi_app, python_plan, running_nginx, static_rule

PYTHON = FastCgi(pool=POOL)
OPTIONS = Rule(folder="/", verbs=("OPTIONS",), action=AnswerOptions())


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def serve(folders: Folders, stack: ExitStack, *rules: Rule) -> tuple[Nginx, FcgiApp]:
    app = stack.enter_context(fcgi_app(folders.socket(POOL)))
    nginx = stack.enter_context(running_nginx(folders, folders.site(python_plan(*rules))))
    return nginx, app


def write(folders: Folders, *paths: str) -> None:
    for path in paths:
        file = folders.content / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"file {path}")


def test_everything_goes_to_the_application_but_what_is_never_served(
    folders: Folders, stack: ExitStack
) -> None:
    write(folders, "web.config", "index.html", "bin/x.txt")
    nginx, app = serve(folders, stack)

    for path in ("/", "/index.html", "/a//b", "/robots.txt", "/cabin", "/web.configx"):
        assert nginx.request(path).text == "hello", path
    for path in (
        "/web.config",
        "/WEB.Config",
        "/a/web%2Econfig",
        "/bin",
        "/Bin/x.txt",
        "/a/bin/b",
        "/x.cs",
        "/%5Cbin%5Cx",
    ):
        assert nginx.request(path).status == 404, path
    assert len(app.requests) == 6


@pytest.mark.parametrize(
    "verb", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "MKCOL"]
)
def test_every_verb_reaches_the_application(verb: str, folders: Folders, stack: ExitStack) -> None:
    nginx, app = serve(folders, stack)

    assert nginx.request("/", method=verb).status == 200
    assert app.requests[0].params["REQUEST_METHOD"] == verb


def test_a_folder_of_files_stands_beside_the_application(folders: Folders, stack: ExitStack) -> None:
    write(
        folders,
        "static/a.css",
        "static/sub/index.html",
        "static/b.py",
        "static/noextension",
        "static/web.config",
    )
    nginx, app = serve(
        folders,
        stack,
        Rule(folder="/static/", verbs=("OPTIONS",), action=AnswerOptions()),
        static_rule("/static/"),
        Rule(folder="/", action=PYTHON),
    )

    found = nginx.request("/static/a.css?v=1")
    assert (found.status, found.text, found.headers["content-type"]) == (200, "file static/a.css", "text/css")
    assert nginx.request("/static/a.css", headers={"If-None-Match": found.headers["etag"]}).status == 304
    assert nginx.request("/static/a.css", headers={"Range": "bytes=0-3"}).text == "file"
    assert nginx.request("/static/a.css", method="HEAD").status == 200
    assert nginx.request("/static/sub/").text == "file static/sub/index.html"
    redirect = nginx.request("/static/sub")
    assert (redirect.status, redirect.headers["location"]) == (301, "/static/sub/")
    assert nginx.request("/static").headers["location"] == "/static/"
    assert nginx.request("/static/").status == 403
    for path in ("b.py", "noextension", "none.css", "none", "web.config", "../web.config"):
        assert nginx.request(f"/static/{path}").status == 404, path
    refused = nginx.request("/static/a.css", method="POST", body=b"x")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert nginx.request("/static/a.css", method="OPTIONS").headers["allow"] == "GET, HEAD, OPTIONS"
    assert app.requests == []
    assert nginx.request("/staticx").text == "hello"


def test_links_out_of_the_content_are_not_followed(folders: Folders, stack: ExitStack) -> None:
    write(folders, "real.txt")
    (folders.root / "secret.txt").write_text("secret")
    (folders.content / "link.txt").symlink_to(folders.root / "secret.txt")
    (folders.content / "outside").symlink_to(folders.root)
    nginx, _ = serve(folders, stack, static_rule())

    assert nginx.request("/real.txt").status == 200
    assert nginx.request("/link.txt").status == 403
    assert nginx.request("/outside/secret.txt").status in {403, 404}


def test_a_file_where_there_is_one_and_the_application_otherwise(folders: Folders, stack: ExitStack) -> None:
    write(folders, "a.txt", "d/index.html")
    nginx, app = serve(folders, stack, OPTIONS, static_rule(), Rule(folder="/", action=PYTHON))

    assert nginx.request("/a.txt").text == "file a.txt"
    assert nginx.request("/d/").text == "file d/index.html"
    assert nginx.request("/nothing.txt", method="POST", body=b"kept").text == "hello"
    assert app.requests[0].body == b"kept"
    assert app.requests[0].params["PATH_INFO"] == "/nothing.txt"
    assert nginx.request("/x", method="OPTIONS").headers["public"] == "GET, HEAD, OPTIONS"


def test_an_application_can_take_files_that_would_be_served(folders: Folders, stack: ExitStack) -> None:
    write(folders, "a.txt", "b.css")
    taken = Rule(folder="/", path="*.txt", verbs=("HEAD",), action=PYTHON)
    nginx, app = serve(folders, stack, OPTIONS, taken, static_rule())

    assert nginx.request("/a.txt", method="HEAD").status == 200
    assert [request.params["PATH_INFO"] for request in app.requests] == ["/a.txt"]
    assert nginx.request("/a.txt").text == "file a.txt"
    assert nginx.request("/b.css").text == "file b.css"


@pytest.mark.parametrize(
    ("resource_type", "reached"),
    [
        (ResourceType.FILE, ["/a.txt"]),
        (ResourceType.DIRECTORY, ["/d", "/d/"]),
        (ResourceType.EITHER, ["/a.txt", "/d", "/d/"]),
        (ResourceType.UNSPECIFIED, ["/a.txt", "/d", "/d/", "/none"]),
    ],
)
def test_a_resource_type_looks_at_the_disk(
    resource_type: ResourceType, reached: list[str], folders: Folders, stack: ExitStack
) -> None:
    write(folders, "a.txt", "d/x.txt")
    nginx, _ = serve(folders, stack, Rule(folder="/", resource_type=resource_type, action=PYTHON))

    answers = {path: nginx.request(path).status for path in ("/a.txt", "/d", "/d/", "/none")}

    assert [path for path, status in answers.items() if status == 200] == reached


def test_verbs_are_compared_with_case_and_paths_without(folders: Folders, stack: ExitStack) -> None:
    nginx, _ = serve(
        folders,
        stack,
        Rule(folder="/", path="Api/*", verbs=("GET", "POST"), action=PYTHON),
        Rule(folder="/", path="*.do", action=PYTHON),
    )

    assert nginx.request("/API/x").status == 200
    assert nginx.request("/api/x", method="POST", body=b"").status == 200
    assert nginx.request("/api/x", method="PUT", body=b"").status == 404
    assert nginx.request("/x/y.DO", method="PUT", body=b"").status == 200
    assert nginx.request("/x/y%0A.do").status == 200
    assert nginx.request("/api").status == 404


def test_the_first_rule_that_matches_counts(folders: Folders, stack: ExitStack) -> None:
    nginx, _ = serve(
        folders,
        stack,
        Rule(folder="/", path="x", action=Refuse(status=500, code="webconfig.some-code")),
        Rule(folder="/", path="*", action=PYTHON),
        Rule(folder="/", path="y", action=Refuse(status=403)),
    )

    refused = nginx.request("/x")
    assert (refused.status, nginx.request("/y").status) == (500, 200)
    assert "webconfig.some-code" in refused.text
    assert refused.headers["content-type"] == "text/html; charset=utf-8"


def test_a_refused_site_refuses_every_address_in_html(folders: Folders, stack: ExitStack) -> None:
    action = Refuse(status=500, sub_status=19, code="webconfig.malformed")
    nginx, _ = serve(folders, stack, Rule(folder="/", action=action))

    for path in ("/", "/style.css", "/a/b.json"):
        answer = nginx.request(path)
        assert (answer.status, answer.headers["content-type"]) == (500, "text/html; charset=utf-8")
        assert "homeport why hello" in answer.text


def test_a_plan_without_rules_finds_nothing(folders: Folders, stack: ExitStack) -> None:
    nginx, _ = serve(folders, stack, Rule(folder="/x/", action=PYTHON))

    assert nginx.request("/").status == 404
    assert nginx.request("/x").status == 200


def test_a_hidden_folder_stays_hidden_with_rules_of_its_own(folders: Folders, stack: ExitStack) -> None:
    nginx, _ = serve(folders, stack, Rule(folder="/bin/", action=PYTHON), Rule(folder="/", action=PYTHON))

    assert [nginx.request(path).status for path in ("/bin", "/bin/", "/bin/x", "/x")] == [404, 404, 404, 200]


def test_the_deepest_folder_counts(folders: Folders, stack: ExitStack) -> None:
    nginx, _ = serve(
        folders,
        stack,
        Rule(folder="/a/b/", action=Refuse(status=403)),
        Rule(folder="/a/", action=PYTHON),
        Rule(folder="/", action=Refuse(status=404)),
    )

    statuses = [nginx.request(path).status for path in ("/a/b/c", "/a/b", "/a/bc", "/a", "/ab", "/")]
    assert statuses == [403, 403, 200, 200, 404, 404]


def test_a_folder_with_blanks_and_signs_in_its_name(folders: Folders, stack: ExitStack) -> None:
    write(folders, "my $files;/ä b.txt")
    nginx, _ = serve(folders, stack, static_rule("/my $files;/"), Rule(folder="/", action=PYTHON))

    assert nginx.request("/my%20$files;/%C3%A4%20b.txt").text == "file my $files;/ä b.txt"


# Patterns (IIS reference §1.5)


def matches(path: str, url: str, base: str = "/") -> bool:
    rule = Rule(folder="/", path=path, base=base, action=PYTHON)
    return re.fullmatch(f"(?is:{pattern(rule)})", url) is not None


@pytest.mark.parametrize(
    ("path", "yes", "no"),
    [
        ("*", ["/", "/a", "/a/b.c"], []),
        ("*.php", ["/a.php", "/x/A.PHP", "/.php"], ["/a.php/x", "/a.phpx", "/aphp"]),
        ("*.", ["/a", "/x.y/a", "/"], ["/a.b"]),
        (
            "handler.fcgi",
            ["/handler.fcgi", "/handler.fcgi/a/b", "/x/Handler.FCGI"],
            ["/xhandler.fcgi", "/handlerxfcgi"],
        ),
        ("ptvsd", ["/ptvsd", "/a/ptvsd/b"], ["/ptvsdx"]),
        ("api/*", ["/api/", "/API/a/b"], ["/api", "/x/api/a"]),
        ("/api/*", ["/api/a"], ["/x/api/a"]),
        ("a/b.ext", ["/a/b.ext"], ["/a/b.extx", "/x/a/b.ext"]),
        ("*_AppService.axd", ["/x_AppService.axd", "/a/_appservice.axd"], ["/x_AppService.axd2"]),
        ("a?c", ["/abc", "/x/aXc"], ["/ac", "/a/c"]),
        ("a(b", ["/a(b"], ["/ab"]),
    ],
)
def test_patterns(path: str, yes: list[str], no: list[str]) -> None:
    assert [url for url in yes if not matches(path, url)] == []
    assert [url for url in no if matches(path, url)] == []


def test_a_pattern_is_relative_to_the_folder_that_has_it() -> None:
    assert matches("*", "/api", base="/api/")
    assert matches("v1/*", "/api/v1/x", base="/api/")
    assert not matches("v1/*", "/v1/x", base="/api/")
    assert not matches("x", "/other/x", base="/api/")


@given(st.text(alphabet="ab.*?/(+[\\$ ", min_size=1, max_size=12), st.text(alphabet="ab./", max_size=12))
def test_every_pattern_is_a_regular_expression(path: str, url: str) -> None:
    matches(path, f"/{url}")


@given(st.text(alphabet="ab*?", min_size=1, max_size=10), st.text(alphabet="ab", max_size=10))
def test_wildcards_mean_what_they_mean_everywhere(path: str, name: str) -> None:
    assert matches(f"x/{path}", f"/x/{name}") == fnmatch.fnmatchcase(name, path)


@pytest.mark.parametrize("path", ["*a" * 30 + "*b", "x/" + "*a" * 30 + "*b", "*?" * 30 + "b", "*a?a" * 20])
def test_no_pattern_is_slow_on_any_address(path: str, folders: Folders, stack: ExitStack) -> None:
    """With an ordinary translation the first of these would never end."""
    nginx, _ = serve(folders, stack, Rule(folder="/", path=path, action=PYTHON))

    for prefix in ("", "x/", "a/" * 20):
        assert nginx.request(f"/{prefix}{'a' * 3000}c").status == 404
        assert not matches(path, f"/{prefix}{'a' * 3000}c")


def test_actions_are_values() -> None:
    actions: set[Action] = {
        PYTHON,
        AnswerOptions(),
        Refuse(status=404),
        StaticFiles(default_documents=("a",)),
    }

    assert len(actions) == 4
