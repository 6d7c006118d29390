"""The sample site extension: a WSGI application below the SCM site that shows how large the folders of the site are."""

import html
import os
from pathlib import Path

HOME = os.environ.get("HOME", "/home")
PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Folder sizes of {site}</title><link rel="stylesheet" href="{root}/sizes.css"></head>
<body><h1>Folder sizes of {site}</h1>
<p>Asked for by {user}.</p>
<table>{rows}</table></body>
</html>
"""


def size_of(folder):
    """Return the bytes of all files below a folder; links are not followed."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(path, name).lstat().st_size
            except OSError:
                continue  # it went meanwhile
    return total


def application(environ, start_response):
    """Answer with the table; addresses below it are not there."""
    if environ["PATH_INFO"] not in ("", "/"):
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"There is one page only.\n"]
    folders = sorted(entry.name for entry in os.scandir(HOME) if entry.is_dir(follow_symlinks=False))
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{size_of(Path(HOME, name)) // 1024:,} KB</td></tr>"
        for name in folders
    )
    body = PAGE.format(
        site=html.escape(os.environ.get("WEBSITE_SITE_NAME", "")),
        user=html.escape(environ.get("HTTP_X_MS_CLIENT_PRINCIPAL_NAME", "")),
        root=html.escape(environ["SCRIPT_NAME"]),
        rows=rows,
    ).encode("utf-8")
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]
