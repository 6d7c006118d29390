"""Projects as Visual Studio 2013 and 2015 published them: `handler.fcgi`, a catch-all rewrite, a proxy for the environment."""

from pathlib import Path

import pytest

from acceptance.running import Platform, eventually

WEB_CONFIG = r"""<?xml version="1.0" encoding="utf-8"?>
<!-- This file is generated for Microsoft Azure by the tools; remove this comment to keep changes. -->
<configuration>
  <system.diagnostics>
    <trace>
      <listeners>
        <add type="Microsoft.WindowsAzure.Diagnostics.DiagnosticMonitorTraceListener, Microsoft.WindowsAzure.Diagnostics" name="AzureDiagnostics"><filter type=""/></add>
      </listeners>
    </trace>
  </system.diagnostics>
  <appSettings>
    <add key="WSGI_ALT_VIRTUALENV_HANDLER" value="@HANDLER@"/>
    <add key="WSGI_ALT_VIRTUALENV_ACTIVATE_THIS" value="D:\home\site\wwwroot\env\Scripts\python.exe"/>
    <add key="WSGI_HANDLER" value="ptvs_virtualenv_proxy.get_venv_handler()"/>
    <add key="PYTHONPATH" value="D:\home\site\wwwroot"/>
    @SETTINGS@
  </appSettings>
  <system.web>
    <compilation debug="true" targetFramework="4.0"/>
  </system.web>
  <system.webServer>
    <modules runAllManagedModulesForAllRequests="true"/>
    <handlers>
      <add name="Python FastCGI" path="handler.fcgi" verb="*" modules="FastCgiModule" scriptProcessor="D:\Python34\python.exe|D:\Python34\Scripts\wfastcgi.py" resourceType="Unspecified" requireAccess="Script"/>
    </handlers>
    <rewrite>
      <rules>
        <rule name="Static Files" stopProcessing="true">
          <conditions>
            <add input="true" pattern="false"/>
          </conditions>
        </rule>
        <rule name="Configure Python" stopProcessing="true">
          <match url="(.*)" ignoreCase="false"/>
          <conditions>
            <add input="{REQUEST_URI}" pattern="^/static/.*" ignoreCase="true" negate="true"/>
          </conditions>
          <action type="Rewrite" url="handler.fcgi/{R:1}" appendQueryString="true"/>
        </rule>
      </rules>
    </rewrite>
  </system.webServer>
</configuration>
"""
PROXY = "raise ImportError('activates a virtual environment of Windows')\n"

FLASK = {
    "requirements.txt": "flask\n",
    "project/__init__.py": """
from flask import Flask, request, url_for

app = Flask(__name__)

@app.route("/", methods=["GET", "POST"])
@app.route("/<path:page>", methods=["GET", "POST"])
def answer(page=""):
    sent = request.get_data(as_text=True)
    return "|".join([request.path, request.args.get("q", ""), url_for("answer", page="next"), sent])
""",
}
BOTTLE = {
    "requirements.txt": "bottle\n",
    "app.py": """
import bottle
from bottle import request

@bottle.route("/", method=["GET", "POST"])
@bottle.route("/<page:path>")
def answer(page=""):
    sent = request.body.read().decode()
    return "|".join([request.path, request.query.getunicode("q", ""), "/next", sent])

def wsgi_app():
    return bottle.default_app()
""",
}
DJANGO = {
    "requirements.txt": "django<6\n",
    "project/__init__.py": "",
    "project/settings.py": "SECRET_KEY = 'x'\nROOT_URLCONF = 'project.urls'\nALLOWED_HOSTS = ['*']\n",
    "project/urls.py": """
from django.http import HttpResponse
from django.urls import path, re_path, reverse
from django.views.decorators.csrf import csrf_exempt

@csrf_exempt
def answer(request, page=""):
    parts = [request.path, request.GET.get("q", ""), reverse("page", args=["next"]), request.body.decode()]
    return HttpResponse("|".join(parts))

urlpatterns = [path("", answer), re_path("^(?P<page>.+)$", answer, name="page")]
""",
}
SETTING = '<add key="DJANGO_SETTINGS_MODULE" value="project.settings"/>'


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("framework", "files", "handler", "settings"),
    [
        ("flask", FLASK, "project.app", ""),
        ("bottle", BOTTLE, "app.wsgi_app()", ""),
        ("django", DJANGO, "django.core.wsgi.get_wsgi_application()", SETTING),
    ],
)
def test_a_project_published_by_visual_studio_runs_unchanged(
    platform: Platform, tmp_path: Path, framework: str, files: dict[str, str], handler: str, settings: str
) -> None:
    site = f"vs-{framework}"
    for name, text in {
        **files,
        "web.config": WEB_CONFIG.replace("@HANDLER@", handler).replace("@SETTINGS@", settings),
        "ptvs_virtualenv_proxy.py": PROXY,
        "static/site.css": "body{}",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    platform.homeport("site", "create", site)
    platform.homeport("extension", "add", site, "python3117x64")

    platform.homeport("deploy", site, str(tmp_path), timeout=240)

    eventually(lambda: platform.get(site).text == "/||/next|")
    assert platform.get(site, "/about/us?q=caf%C3%A9").text == "/about/us|café|/next|"
    assert platform.get(site, "/a%20b/%C3%A9").text == "/a b/é||/next|"
    with platform.client(f"{site}.localhost") as client:
        assert client.post("/?q=1", content="sent").text == "/|1|/next|sent"
    styled = platform.get(site, "/static/site.css")
    assert (styled.text, styled.headers["content-type"]) == ("body{}", "text/css")
    assert platform.get(site, "/static/none.css").status_code == 404
    assert platform.get(site, "/web.config").status_code == 404
    platform.homeport("site", "delete", site, "--yes")
