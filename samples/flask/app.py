"""The sample site: a Flask application as the documentation of App Service for Python had it."""

import os
import sys

from flask import Flask

app = Flask(__name__)
wsgi_app = app.wsgi_app

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{site} runs on Homeport</title>
<style>:root{{color-scheme:light dark}}body{{font:16px/1.6 system-ui,sans-serif;max-width:40rem;margin:15vh auto;padding:0 1rem}}</style>
</head>
<body><h1>Hello from Flask</h1>
<p>This is the site <b>{site}</b> on Python {version}, configured by an unmodified <code>web.config</code>.</p></body>
</html>
"""


@app.route("/")
def hello():
    """Answer with a page that says where it runs."""
    version = ".".join(map(str, sys.version_info[:3]))
    return PAGE.format(site=os.environ.get("WEBSITE_SITE_NAME", "sample"), version=version)
