"""`homeport why` on sites that are broken in a dozen ways, each really started and really failing."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from acceptance.running import Platform, eventually
from acceptance.sites import HELLO, fast_cgi, web_config

Make = Callable[..., str]
SITE = "whysite"
LIMITS = fast_cgi(requestTimeout=10, activityTimeout=10)


@pytest.fixture(scope="module")
def site(platform: Platform) -> Iterator[str]:
    """One site for all cases: a Python costs more than a broken file."""
    platform.homeport("site", "create", SITE)
    platform.homeport("extension", "add", SITE, "python3117x64")
    yield SITE
    platform.homeport("site", "delete", SITE, "--yes", check=False)


@pytest.mark.parametrize(
    ("files", "headline", "remedy"),
    [
        (
            {"app.py": "import flask\n"},
            "The module 'flask' is missing, and no line of requirements.txt brings it.",
            "Add this line to requirements.txt and deploy again: flask",
        ),
        (
            {"app.py": "import yaml\n", "requirements.txt": "PyYAML==6.0\n"},
            "The module 'yaml' is missing: requirements.txt names it (line 1: PyYAML==6.0), and it is not installed into python3117x64.",
            "python.exe -m pip install -r requirements.txt",
        ),
        (
            {"app.py": "import Helper\n", "helper.py": ""},
            "The module 'Helper' is missing; the content has 'helper.py', whose letters differ in case.",
            "are two names on Linux",
        ),
        (
            {"app.py": "import winreg\n"},
            "The application imports 'winreg', which exists on Windows only.",
            "sys.platform == 'win32'",
        ),
        (
            {"app.py": "print 'hello'\n"},
            "cannot read a file: Missing parentheses in call to 'print'",
            "Python 2",
        ),
        (
            {"app.py": "import os\nos.environ['SECRET_KEY']\n"},
            "The application needs the setting 'SECRET_KEY', which the site does not have.",
            f"homeport settings set {SITE} SECRET_KEY=VALUE",
        ),
        (
            {"app.py": "open(r'D:\\home\\site\\data.json')\n"},
            "The application opens 'D:\\home\\site\\data.json', a Windows path",
            "os.environ['HOME']",
        ),
        (
            {"app.py": "app = None\n"},
            "WSGI_HANDLER is 'app.wsgi_app', and the module 'app' has no 'wsgi_app'.",
            "Correct WSGI_HANDLER",
        ),
        (
            {"web.config": web_config(handler="App.wsgi_app"), "app.py": HELLO},
            "WSGI_HANDLER is 'App.wsgi_app', and there is no module 'App': there is 'app.py'",
            "Correct WSGI_HANDLER",
        ),
        (
            {"app.py": "import sys\nprint('no license')\nsys.stdout.flush()\nimport os\nos._exit(7)\n"},
            "The process ended while it was starting: exit code 7.",
            "the last lines of its output tell why",
        ),
        (
            {"web.config": web_config(more=LIMITS), "app.py": "import time\ntime.sleep(1000)\n"},
            "The application was not ready 10 s after its start and was ended (requestTimeout).",
            "raise requestTimeout",
        ),
        (
            {"web.config": "<configuration>\n<appSettings></configuration>"},
            "The file is no well-formed XML",
            "Correct it",
        ),
        (
            {"web.config": web_config().replace("FastCgiModule", "CgiModule"), "app.py": HELLO},
            "needs CgiModule, which is not there",
            "",
        ),
        (
            {"app.py": "def wsgi_app(environ, start_response):\n    raise LookupError('no page')\n"},
            "The application raised LookupError: no page in GET /.",
            "the last one of the site's own",
        ),
    ],
)
def test_the_cause_is_named_with_what_to_do(
    platform: Platform, site: str, files: dict[str, str | bytes], headline: str, remedy: str
) -> None:
    old = platform.data / f"sites/{site}/home/LogFiles"
    for path in (*(old / "homeport/failures").glob("*"), *(old / "Application").glob("*.log")):
        path.write_bytes(b"") if path.suffix == ".log" else path.unlink()
    for name in ("requirements.txt", "helper.py"):
        (platform.data / f"sites/{site}/home/site/wwwroot/{name}").unlink(missing_ok=True)
    platform.write(site, {"web.config": web_config()} | files)
    found = []

    def named() -> bool:
        if platform.get(site).status_code < 400:
            return False  # the files of this case are not in force yet
        found[:] = platform_causes(platform, site)
        return any(headline in cause["headline"] for cause in found)

    eventually(named, seconds=90)
    cause = next(cause for cause in found if headline in cause["headline"])
    assert remedy in cause["remedy"]
    assert found[0] == cause


def platform_causes(platform: Platform, site: str) -> list[dict[str, Any]]:
    with platform.scm(site) as scm:
        causes: list[dict[str, Any]] = scm.get("/api/homeport/why").json()["causes"]
        return causes


HTTP = """<configuration><system.webServer>
<handlers><add name="web" path="*" verb="*" modules="httpPlatformHandler"/></handlers>
<httpPlatform processPath="D:\\home\\python3117x64\\python.exe" arguments="-u D:\\home\\site\\wwwroot\\server.py"
              startupTimeLimit="5" startupRetryCount="1"/>
</system.webServer></configuration>"""


@pytest.mark.parametrize(
    ("server", "headline"),
    [
        (
            "import time\nprint('ready to serve')\ntime.sleep(1000)\n",
            "The process (python server.py) did not listen on port ",
        ),
        (
            "import os\nimport uvicorn\n",
            "The module 'uvicorn' is missing, and no line of requirements.txt brings it.",
        ),
        ("raise SystemExit('no licence')\n", "The process ended while it was starting: exit code 1."),
    ],
)
def test_a_web_server_that_does_not_come_up_is_explained(
    platform: Platform, site: str, server: str, headline: str
) -> None:
    folder = platform.data / f"sites/{site}/home/LogFiles"
    for path in (*(folder / "homeport/failures").glob("*"), *(folder / "Application").glob("*.log")):
        path.write_bytes(b"") if path.suffix == ".log" else path.unlink()
    platform.write(site, {"web.config": HTTP, "server.py": server})
    found = []

    def named() -> bool:
        platform.get(site)
        found[:] = platform_causes(platform, site)
        return any(cause["headline"].startswith(headline) for cause in found)

    eventually(named, seconds=90)
    assert found[0]["headline"].startswith(headline)
    if "licence" in server:
        assert any("no licence" in fact["text"] for fact in found[0]["evidence"])


def test_the_command_shows_the_line_of_the_traceback(platform: Platform, make_site: Make) -> None:
    make_site("whycommand", {"web.config": web_config(), "app.py": "\nimport no_such_module\n"})
    eventually(lambda: platform.get("whycommand").status_code == 500)

    done = platform.homeport("why", "whycommand", check=False)

    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == (
        "The module 'no_such_module' is missing, and no line of requirements.txt brings it."
    )
    assert "  where        app.py:2\n" in done.stdout
    assert "  line         app.py:2: import no_such_module\n" in done.stdout
    assert (
        "  what to do   Add this line to requirements.txt and deploy again: no-such-module\n" in done.stdout
    )


def test_a_site_that_serves_has_no_cause(platform: Platform, make_site: Make) -> None:
    make_site("whygood", {"web.config": web_config(), "app.py": HELLO})
    eventually(lambda: platform.get("whygood").text == "hello")

    assert "Nothing is known to be wrong." in platform.homeport("why", "whygood").stdout


def test_a_missing_python_and_a_stopped_site_are_named(platform: Platform, make_site: Make) -> None:
    make_site("whybare", {"web.config": web_config(), "app.py": HELLO}, runtime="")
    assert (
        "homeport extension add whybare python3117x64"
        in platform.homeport("why", "whybare", check=False).stdout
    )

    platform.homeport("site", "stop", "whybare")
    assert platform.homeport("why", "whybare", check=False).stdout.startswith("The site is stopped")


def test_a_transform_of_the_site_takes_effect_at_a_restart(platform: Platform, make_site: Make) -> None:
    body = "def wsgi_app(e, s):\n    import os\n    s('200 OK', [])\n    return [os.environ.get('FROM_XDT', '-').encode()]\n"
    make_site("whyxdt", {"web.config": web_config(), "app.py": body})
    eventually(lambda: platform.get("whyxdt").text == "-")
    transform = (
        '<configuration xmlns:xdt="http://schemas.microsoft.com/XML-Document-Transform"><system.webServer><runtime>'
        '<environmentVariables><add name="FROM_XDT" value="%XDT_SITENAME%" xdt:Transform="Insert"/>'
        "</environmentVariables></runtime></system.webServer></configuration>"
    )
    with platform.scm("whyxdt") as scm:
        scm.put("/api/vfs/site/applicationHost.xdt", content=transform).raise_for_status()

    platform.homeport("site", "restart", "whyxdt")

    eventually(lambda: platform.get("whyxdt").text == "whyxdt")


def test_a_trace_names_the_handler_the_pool_and_its_process(platform: Platform, make_site: Make) -> None:
    make_site("traced", {"web.config": web_config(), "app.py": HELLO})
    assert "none runs now" in platform.homeport("trace", "traced", "/x").stdout
    eventually(lambda: platform.get("traced").text == "hello")

    found = platform.json("trace", "traced", "http://traced.localhost/x?y=1", "--method", "POST")
    shown = platform.homeport("trace", "traced", "/bin/secret").stdout

    assert (found["answer"], found["handler"]) == ("app", "PythonHandler")
    pids = [process["pid"] for process in platform.json("site", "show", "traced")["processes"]]
    assert found["processes"][0]["pid"] in pids
    assert "It is refused with 404.8" in shown
    assert "'bin' is hidden (hiddenSegments)" in shown


def test_a_broken_new_version_is_explained_while_the_old_one_serves(
    platform: Platform, make_site: Make
) -> None:
    make_site("whynew", {"web.config": web_config(), "app.py": HELLO})
    eventually(lambda: platform.get("whynew").text == "hello")

    platform.write("whynew", {"app.py": "import no_such_module\n"})

    eventually(lambda: platform_causes(platform, "whynew"))
    assert platform_causes(platform, "whynew")[0]["headline"] == (
        "The old version keeps serving, the new one does not start: "
        "The module 'no_such_module' is missing, and no line of requirements.txt brings it."
    )
    assert platform.get("whynew").text == "hello"
