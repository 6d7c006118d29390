"""A site without a handler for an application: what is found, and what it comes to."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from homeport.model.site import InstalledRuntime
from homeport.webconfig import ConfigurationTree, SiteFacts, compile_plan
from homeport.webconfig.detection import (
    COMMAND,
    SWITCH,
    Detected,
    Interface,
    configuration_for,
    detect,
    search,
)
from homeport.webconfig.document import parse_document
from homeport.webconfig.plan import FastCgi, HostingPlan, ProxyToPool, StaticFiles

FLASK = "from flask import Flask\n\napp = Flask(__name__)\n"
FAST = "import fastapi\napp = fastapi.FastAPI()\n"
DJANGO = (
    "import os\nfrom django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
)
OLD = InstalledRuntime(folder="python3810x64", id="python3810x64", version="3.8.10", build="", base="/usr")
NEW = InstalledRuntime(folder="python3117x64", id="python3117x64", version="3.11.7", build="", base="/usr")


@pytest.mark.parametrize(
    ("sources", "interface", "framework", "target", "file", "line"),
    [
        ({"app.py": FLASK}, Interface.WSGI, "Flask", "app:app", "app.py", 3),
        ({"main.py": FAST}, Interface.ASGI, "FastAPI", "main:app", "main.py", 2),
        ({"shop/wsgi.py": DJANGO}, Interface.WSGI, "Django", "shop.wsgi:application", "shop/wsgi.py", 3),
        (
            {"shop/wsgi.py": DJANGO, "app.py": FLASK},
            Interface.WSGI,
            "Django",
            "shop.wsgi:application",
            "shop/wsgi.py",
            3,
        ),
        (
            {"app.py": "import falcon.asgi\napp = falcon.asgi.App()\n"},
            Interface.ASGI,
            "Falcon",
            "app:app",
            "app.py",
            2,
        ),
        (
            {"app.py": "import falcon\napp = falcon.App()\n"},
            Interface.WSGI,
            "Falcon",
            "app:app",
            "app.py",
            2,
        ),
        (
            {"app.py": "from aiohttp import web\napp = web.Application()\n"},
            Interface.OWN_SERVER,
            "aiohttp",
            "app:app",
            "app.py",
            2,
        ),
        (
            {"run.py": "import tornado.web\nfrom site import x\napp = Application([])\n"},
            Interface.OWN_SERVER,
            "Tornado",
            "run:app",
            "run.py",
            3,
        ),
        (
            {"app.py": "from aiohttp import ClientSession\ndef app(environ, start_response): ...\n"},
            Interface.WSGI,
            "a WSGI application",
            "app:app",
            "app.py",
            2,
        ),
        ({"main.py": FAST, "app.py": FLASK}, Interface.ASGI, "FastAPI", "main:app", "main.py", 2),
        (
            {"application.py": FLASK, "app.py": FLASK},
            Interface.WSGI,
            "Flask",
            "application:app",
            "application.py",
            3,
        ),
        (
            {"wsgi.py": "from shop import application\n"},
            Interface.WSGI,
            "a WSGI application",
            "wsgi:application",
            "wsgi.py",
            1,
        ),
        (
            {"app.py": "def app(environ, start_response):\n    ..."},
            Interface.WSGI,
            "a WSGI application",
            "app:app",
            "app.py",
            1,
        ),
        (
            {"asgi.py": "from starlette.applications import Starlette\napp: Starlette = Starlette()"},
            Interface.ASGI,
            "Starlette",
            "asgi:app",
            "asgi.py",
            2,
        ),
        (
            {"server.py": "import bottle\napp = application = bottle.default_app()\n"},
            Interface.WSGI,
            "Bottle",
            "server:app",
            "server.py",
            2,
        ),
    ],
)
def test_an_application_is_found_in_the_order_of_app_service(
    sources: dict[str, str], interface: Interface, framework: str, target: str, file: str, line: int
) -> None:
    assert detect(sources, {}) == Detected(
        interface=interface, framework=framework, target=target, file=file, line=line
    )


@pytest.mark.parametrize(
    "sources",
    [
        {},
        {"app.py": "print('a script')"},
        {"app.py": "    app = 1\n"},
        {"app.py": "application_name = 'x'\napps = []\n"},
        {"shop/wsgi.py": "# nothing yet\n"},
    ],
)
def test_a_script_that_makes_no_application_is_none(sources: dict[str, str]) -> None:
    assert detect(sources, {}) is None


def test_a_flask_module_that_also_imports_fastapi_is_flask() -> None:
    found = detect({"app.py": f"import fastapi\n{FLASK}"}, {})
    assert found is not None
    assert (found.interface, found.framework) == (Interface.WSGI, "Flask")


def test_a_startup_command_comes_before_everything() -> None:
    found = detect({"app.py": FLASK}, {COMMAND: " gunicorn app:app "}, has_script=True)
    assert found is not None
    assert (found.interface, found.target) == (Interface.COMMAND, "gunicorn app:app")


def test_a_deployed_startup_script_comes_before_frameworks() -> None:
    found = detect({"app.py": FLASK}, {}, has_script=True)
    assert found is not None
    assert found.target == "/home/site/scripts/startup.sh"


def test_virtual_environments_are_not_looked_into() -> None:
    folders = {"": ["antenv", "env", "shop"], "antenv": ["wsgi.py"], "env": ["wsgi.py"], "shop": ["wsgi.py"]}
    files = dict.fromkeys(("antenv/wsgi.py", "env/wsgi.py", "shop/wsgi.py"), DJANGO.encode())
    found = search(folders.get, files.get, {})
    assert found is not None
    assert found.file == "shop/wsgi.py"


@pytest.mark.parametrize("value", ["0", "false", " OFF "])
def test_the_switch_turns_it_off(value: str) -> None:
    files = {"app.py": FLASK.encode()}
    assert search({"": ["app.py"]}.get, files.get, {SWITCH: value}) is None


def _plan(
    detected: Detected | None,
    files: dict[str, bytes],
    *runtimes: InstalledRuntime,
    packages: tuple[str, ...] = (),
) -> HostingPlan:
    return compile_plan(
        ConfigurationTree(files=files),
        SiteFacts(
            site="shop", runtimes=runtimes, detect=lambda: detected, list_folder=lambda path: [*packages]
        ),
    )


def test_a_wsgi_application_runs_in_our_worker_on_the_newest_python() -> None:
    plan = _plan(detect({"app.py": FLASK}, {}), {}, OLD, NEW)
    (pool,) = plan.pools
    assert isinstance(plan.rules[0].action, FastCgi)
    assert pool.runtime_folder == NEW.folder
    assert ("WSGI_HANDLER", "app.app") in pool.environment_variables
    assert [finding.code for finding in plan.findings] == ["webconfig.detected"]


@pytest.mark.parametrize("broken", [b"<configuration>", b"<html/>", b""])
def test_beside_a_web_config_that_cannot_be_read_nothing_is_detected(broken: bytes) -> None:
    plan = _plan(detect({"app.py": FLASK}, {}), {"": broken}, NEW)
    assert not any(each.code.startswith("webconfig.detected") for each in plan.findings)


def test_an_asgi_application_runs_under_the_server_that_is_installed() -> None:
    plan = _plan(detect({"main.py": FAST}, {}), {}, NEW, packages=("fastapi", "hypercorn"))
    (pool,) = plan.http_pools
    assert isinstance(plan.rules[0].action, ProxyToPool)
    assert pool.program[1:] == ("-m", "hypercorn", "main:app", "--bind", "127.0.0.1:%HTTP_PLATFORM_PORT%")


def test_an_asgi_application_without_a_server_says_what_to_add() -> None:
    plan = _plan(detect({"main.py": FAST}, {}), {}, NEW)
    (finding,) = [each for each in plan.findings if each.code == "webconfig.detected-without-server"]
    assert (finding.file, finding.line) == ("main.py", 2)
    assert "requirements.txt" in finding.remedy


def test_a_framework_that_serves_by_itself_says_that_it_needs_a_command() -> None:
    found = detect({"app.py": "import tornado.web\napp = tornado.web.Application()\n"}, {})
    plan = _plan(found, {}, NEW)

    finding = next(each for each in plan.findings if each.code == "webconfig.detected-own-server")
    assert (finding.file, finding.line) == ("app.py", 2)
    assert "HOMEPORT_STARTUP_COMMAND=python app.py" in finding.remedy
    assert not any(isinstance(rule.action, (FastCgi, ProxyToPool)) for rule in plan.rules)


def test_without_a_python_the_finding_says_so() -> None:
    plan = _plan(detect({"app.py": FLASK}, {}), {})
    assert "webconfig.detected-without-python" in {each.code for each in plan.findings}
    assert not plan.pools


def test_a_startup_command_is_one_argument_of_a_shell() -> None:
    command = 'A="x y" gunicorn --bind 127.0.0.1:$PORT "app:create(\'a\')" && echo %PATH%'
    plan = _plan(detect({}, {COMMAND: command}), {}, NEW)
    (pool,) = plan.http_pools
    assert pool.program[0] == "bash"
    assert pool.program[1] == "-c"
    assert pool.program[2].startswith('A="x y" gunicorn --bind 127.0.0.1:$PORT "app:create(\'a\')" && echo ')
    assert ("PORT", "%HTTP_PLATFORM_PORT%") in pool.environment_variables


def test_a_web_config_without_a_handler_keeps_what_it_says() -> None:
    text = b'<configuration><system.webServer><defaultDocument><files><add value="x.html"/></files></defaultDocument></system.webServer></configuration>'
    plan = _plan(detect({"app.py": FLASK}, {}), {"": text}, NEW)
    assert isinstance(plan.rules[0].action, FastCgi)
    assert plan.settings_of("/").default_document.tried[0] == "x.html"


@pytest.mark.parametrize(
    "handler",
    [
        '<handlers><add name="x" path="*" verb="*" modules="httpPlatformHandler"/></handlers>',
        '<handlers><add name="x" path="*.php" verb="*" modules="FastCgiModule" scriptProcessor="php-cgi"/></handlers>',
        '<httpPlatform processPath="x"/>',
    ],
)
def test_a_web_config_with_a_handler_is_left_alone(handler: str) -> None:
    text = f"<configuration><system.webServer>{handler}</system.webServer></configuration>".encode()
    plan = _plan(detect({"app.py": FLASK}, {}), {"": text}, NEW)
    assert not any(each.code.startswith("webconfig.detected") for each in plan.findings)


def test_where_a_handler_is_nothing_is_looked_for() -> None:
    def look() -> Detected:
        raise AssertionError("It looked for an application.")

    text = (
        b'<configuration><system.webServer><httpPlatform processPath="x"/></system.webServer></configuration>'
    )
    compile_plan(ConfigurationTree(files={"": text}), SiteFacts(site="shop", runtimes=(NEW,), detect=look))


def test_a_static_handler_in_a_folder_is_no_handler_for_an_application() -> None:
    text = b'<configuration><system.webServer><handlers><clear/><add name="s" path="*" verb="*" modules="StaticFileModule" resourceType="File"/></handlers></system.webServer></configuration>'
    plan = _plan(detect({"app.py": FLASK}, {}), {"static": text}, NEW)
    assert isinstance(next(rule for rule in plan.rules if rule.folder == "/").action, FastCgi)
    assert isinstance(next(rule for rule in plan.rules if rule.folder == "/static/").action, StaticFiles)


@given(st.text(max_size=200))
@example(" ")
def test_any_command_becomes_readable_configuration(command: str) -> None:
    detected = Detected(interface=Interface.COMMAND, framework="a startup command", target=command, file="x")
    printable = all(character in "\t\n\r" or character >= " " for character in command)
    if printable and not any(
        0xD800 <= ord(character) <= 0xDFFF or ord(character) in {0xFFFE, 0xFFFF} for character in command
    ):
        document, _ = parse_document(configuration_for(detected, NEW), file="x")
        assert document is not None
