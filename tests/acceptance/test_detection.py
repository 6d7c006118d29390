"""Sites without a web.config: what is in them runs, as on App Service on Linux."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from acceptance.running import Platform, eventually

PYTHON = f"python3{sys.version_info.minor}{sys.version_info.micro}x64"

FLASK = """
from flask import Flask
app = Flask(__name__)

@app.get("/")
def hello():
    return "flask says hello"
"""

FASTAPI = """
from fastapi import FastAPI
app = FastAPI()

@app.get("/")
async def hello():
    return {"from": "fastapi"}
"""

PLAIN = """
import os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"plain " + os.environ.get("PORT", "worker").encode()]
"""


@pytest.fixture
def site(make_site: Callable[..., str]) -> str:
    return make_site("found", runtime=PYTHON)


def deploy(platform: Platform, site: str, folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    platform.homeport("deploy", site, str(folder))


def findings(platform: Platform, site: str) -> dict[str, str]:
    return {each["code"]: each["message"] for each in platform.json("site", "show", site)["findings"]}


def test_a_flask_application_runs_without_a_web_config(platform: Platform, site: str, tmp_path: Path) -> None:
    deploy(platform, site, tmp_path, {"app.py": FLASK, "requirements.txt": "flask\n"})
    eventually(lambda: platform.get(site).text == "flask says hello")
    assert "Flask: app:app" in findings(platform, site)["webconfig.detected"]


def test_a_fastapi_application_runs_under_the_server_it_brings(
    platform: Platform, site: str, tmp_path: Path
) -> None:
    deploy(platform, site, tmp_path, {"main.py": FASTAPI, "requirements.txt": "fastapi\nuvicorn\n"})
    eventually(lambda: platform.get(site).text == '{"from":"fastapi"}')
    assert "It runs under uvicorn" in findings(platform, site)["webconfig.detected"]


def test_a_startup_command_runs_and_is_told_its_port(platform: Platform, site: str, tmp_path: Path) -> None:
    command = "python -m waitress --listen=127.0.0.1:$PORT app:app"
    platform.homeport("settings", "set", site, f"HOMEPORT_STARTUP_COMMAND={command}")
    deploy(platform, site, tmp_path, {"app.py": PLAIN, "requirements.txt": "waitress\n"})
    eventually(lambda: platform.get(site).text.removeprefix("plain ").isdigit())
    platform.homeport("settings", "delete", site, "HOMEPORT_STARTUP_COMMAND")
    eventually(lambda: platform.get(site).text == "plain worker")


def test_a_script_that_becomes_an_application_runs_without_a_deployment(
    platform: Platform, site: str
) -> None:
    platform.write(site, {"app.py": "print('only a script')\n", "index.html": "a page"})
    eventually(lambda: platform.get(site, "/index.html").text == "a page")
    assert platform.get(site, "/app.py").status_code == 404
    platform.write(site, {"app.py": PLAIN})
    eventually(lambda: platform.get(site).text == "plain worker")
