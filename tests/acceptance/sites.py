"""Contents of sites that the acceptance tests host."""

SAMPLE_WEB_CONFIG = """<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <appSettings>
    <add key="PYTHONPATH" value="D:\\home\\site\\wwwroot"/>
    <add key="WSGI_HANDLER" value="app.wsgi_app"/>
    <add key="WSGI_LOG" value="D:\\home\\LogFiles\\wfastcgi.log"/>
  </appSettings>
  <system.webServer>
    <handlers>
      <add name="PythonHandler" path="*" verb="*" modules="FastCgiModule" scriptProcessor="D:\\home\\Python361x64\\python.exe|D:\\home\\Python361x64\\wfastcgi.py" resourceType="Unspecified" requireAccess="Script"/>
    </handlers>
  </system.webServer>
</configuration>
"""
"""The web.config of App Service's documentation, byte for byte."""

HELLO = """
def wsgi_app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
"""


def web_config(
    *, handler: str = "app.wsgi_app", folder: str = "python3117x64", settings: str = "", more: str = ""
) -> str:
    """Return a web.config for a Python folder; `settings` are more appSettings, `more` more of system.webServer."""
    return f"""<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <appSettings>
    <add key="PYTHONPATH" value="D:\\home\\site\\wwwroot"/>
    <add key="WSGI_HANDLER" value="{handler}"/>
    <add key="WSGI_LOG" value="D:\\home\\LogFiles\\wfastcgi.log"/>
    {settings}
  </appSettings>
  <system.webServer>
    <handlers>
      <add name="PythonHandler" path="*" verb="*" modules="FastCgiModule" scriptProcessor="D:\\home\\{folder}\\python.exe|D:\\home\\{folder}\\wfastcgi.py" resourceType="Unspecified" requireAccess="Script"/>
    </handlers>
    {more}
  </system.webServer>
</configuration>
"""


def fast_cgi(folder: str = "python3117x64", **attributes: object) -> str:
    """Return the `<fastCgi>` section with these attributes for the Python of the site."""
    text = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return (
        f'<fastCgi><application fullPath="D:\\home\\{folder}\\python.exe" '
        f'arguments="D:\\home\\{folder}\\wfastcgi.py" {text}/></fastCgi>'
    )


def application(body: str) -> str:
    """Return an app.py whose `answer(environ)` has this body and returns text."""
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return f"""import os, sys, time, json, threading, subprocess, socket
def answer(environ):
{lines}
def wsgi_app(environ, start_response):
    text = str(answer(environ)).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]
"""
