"""Reads the whole request body in pieces of 64 KB, as frameworks do, and answers with its length."""

PIECE = 65_536


def app(environ, start_response):
    stream, left = environ["wsgi.input"], int(environ.get("CONTENT_LENGTH") or 0)
    length = 0
    while left and (piece := stream.read(min(PIECE, left))):
        length += len(piece)
        left -= len(piece)
    answer = str(length).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer]
