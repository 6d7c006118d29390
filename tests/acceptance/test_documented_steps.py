"""The steps that App Service's documentation tells, typed one after another, on each Python."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from acceptance.running import Platform, eventually
from acceptance.sites import SAMPLE_WEB_CONFIG, web_config

FLASK_APP = """
import sys
from flask import Flask

app = Flask(__name__)
wsgi_app = app.wsgi_app

@app.route("/")
def hello():
    return "Hello from Python %d.%d" % sys.version_info[:2]
"""


def wheel(folder: Path) -> Path:
    """Make a small wheel, so that installing needs no package index."""
    path = folder / "homeport_probe-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("homeport_probe.py", "VALUE = 42\n")
        archive.writestr(
            "homeport_probe-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: homeport-probe\nVersion: 1.0\n",
        )
        archive.writestr(
            "homeport_probe-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(
            "homeport_probe-1.0.dist-info/RECORD",
            "homeport_probe.py,,\nhomeport_probe-1.0.dist-info/METADATA,,\nhomeport_probe-1.0.dist-info/WHEEL,,\nhomeport_probe-1.0.dist-info/RECORD,,\n",
        )
    return path


@pytest.mark.interpreters
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("runtime", "version"),
    [("python361x64", "3.6"), ("python3818x64", "3.8"), ("python3117x64", "3.11"), ("python3130x64", "3.13")],
)
def test_the_steps_of_the_documentation(
    platform: Platform, tmp_path: Path, runtime: str, version: str
) -> None:
    site = f"steps-{version.replace('.', '')}"
    listed = platform.json("extension", "list")
    assert any(entry["version"].startswith(version + ".") for entry in listed)
    created = platform.json("site", "create", site)
    assert {"name", "state", "url", "scm_url", "publishing"} <= created.keys()
    added = platform.homeport("extension", "add", site, runtime)
    if runtime == "python361x64":
        assert "3.6.15" in added.stdout + added.stderr

    with platform.scm(site) as scm:
        folder = f"\\home\\{runtime}"
        scm.put(
            f"/api/vfs/data/{wheel(tmp_path).name}", content=wheel(tmp_path).read_bytes()
        ).raise_for_status()
        answer = scm.post(
            "/api/command",
            json={
                "command": f"python.exe -m pip install D:\\home\\data\\{wheel(tmp_path).name}",
                "dir": folder,
            },
        ).json()
        assert answer["ExitCode"] == 0, answer
        answer = scm.post(
            "/api/command",
            json={"command": 'python.exe -c "import homeport_probe as p; print(p.VALUE)"', "dir": folder},
        ).json()
        assert answer["Output"] == "42\n", answer

    app = tmp_path / "myapp"
    app.mkdir()
    (app / "app.py").write_text(FLASK_APP)
    (app / "requirements.txt").write_text("flask\n")
    (app / "web.config").write_text(SAMPLE_WEB_CONFIG if version == "3.6" else web_config(folder=runtime))
    deployed = platform.homeport("deploy", site, str(app), timeout=240)
    assert f"http://{site}.localhost" in deployed.stdout
    eventually(lambda: platform.get(site).text == f"Hello from Python {version}")
    assert "initialized" in (platform.data / f"sites/{site}/home/LogFiles/wfastcgi.log").read_text()
    platform.homeport("site", "delete", site, "--yes")


def test_another_python_runs_the_documented_file_and_says_so(
    platform: Platform, make_site: Callable[..., str]
) -> None:
    hello = (
        "import sys\ndef wsgi_app(e, s):\n    s('200 OK', [])\n    return [b'%d.%d' % sys.version_info[:2]]\n"
    )
    make_site("elsewhere", {"web.config": SAMPLE_WEB_CONFIG, "app.py": hello}, runtime="python3117x64")

    eventually(lambda: platform.get("elsewhere").text == "3.11")
    findings = json.dumps(platform.json("site", "show", "elsewhere")["findings"])
    assert "homeport extension add elsewhere python361x64" in findings


@pytest.mark.timeout(300)
def test_a_django_site_with_admin_static_files_and_sqlite(platform: Platform, tmp_path: Path) -> None:
    app = tmp_path / "shop"
    (app / "shop").mkdir(parents=True)
    (app / "static").mkdir()
    (app / "requirements.txt").write_text("django<6\n")
    (app / "manage.py").write_text(
        "import os, sys\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"
        "from django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n"
    )
    (app / "shop/__init__.py").write_text("")
    (app / "shop/urls.py").write_text(
        "from django.contrib import admin\nfrom django.urls import path\nurlpatterns = [path('admin/', admin.site.urls)]\n"
    )
    (app / "shop/settings.py").write_text(DJANGO_SETTINGS)
    setting = '<add key="DJANGO_SETTINGS_MODULE" value="shop.settings"/>'
    static = (
        '<location path="static"><system.webServer><handlers><remove name="PythonHandler"/></handlers>'
        "</system.webServer></location>\n</configuration>"
    )  # not static/web.config: collectstatic --clear, which a deployment runs, would delete it
    config = web_config(handler="django.core.wsgi.get_wsgi_application()", settings=setting)
    (app / "web.config").write_text(config.replace("</configuration>", static))
    platform.homeport("site", "create", "shop")
    platform.homeport("extension", "add", "shop", "python3117x64")
    platform.homeport("deploy", "shop", str(app), timeout=240)
    with platform.scm("shop") as scm:

        def command(line: str) -> str:
            body = {"command": line, "dir": "D:\\home\\site\\wwwroot"}
            answer = scm.post("/api/command", json=body, timeout=120).json()
            assert answer["ExitCode"] == 0, answer
            return str(answer["Output"])

        python = "D:\\home\\python3117x64\\python.exe"
        command(f"{python} manage.py migrate --noinput")
        command(f"{python} manage.py collectstatic --noinput")
        command(
            f'{python} manage.py shell -c "from django.contrib.auth.models import User; '
            "User.objects.create_superuser('owner', 'o@example.org', 'a-long-password')\""
        )
    eventually(lambda: platform.get("shop", "/admin/login/").status_code == 200)
    with platform.client("shop.localhost", follow_redirects=True) as client:
        form = client.get("/admin/login/?next=/admin/")
        token = form.text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        home = client.post(
            "/admin/login/?next=/admin/",
            data={
                "username": "owner",
                "password": "a-long-password",
                "csrfmiddlewaretoken": token,
                "next": "/admin/",
            },
            headers={"Referer": f"http://shop.localhost:{platform.port}/admin/login/"},
        )
        style = client.get("/static/admin/css/base.css")

    assert "Site administration" in home.text
    assert style.status_code == 200
    assert style.headers["content-type"].startswith("text/css")
    assert "etag" in style.headers  # nginx served it, not Python
    platform.homeport("site", "delete", "shop", "--yes")


DJANGO_SETTINGS = """
from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "only-for-this-test"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = [
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
    "django.contrib.messages", "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"""
