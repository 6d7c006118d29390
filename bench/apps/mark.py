"""The smallest application, answering with an app setting that was read when the process started."""

import os

BODY = os.environ.get("MARK", "Hello, World!").encode()
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]


def app(environ, start_response):
    start_response("200 OK", HEADERS)
    return [BODY]
