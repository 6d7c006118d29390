import socket
import threading

from homeport.cli.scm_client import ScmClient

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"
SITE = {
    "name": "hello",
    "scm_url": "http://hello.scm.localhost",
    "publishing": {"user": "$hello", "password": "x", "basic_auth": {"scm": True}},
}


def test_a_question_goes_out_again_when_the_kept_connection_was_closed_just_then() -> None:
    """As nginx does when it takes up a new configuration."""
    asked: list[int] = []

    def serve() -> None:
        for connection in range(2):
            with listener.accept()[0] as client:
                while client.recv(65536):
                    asked.append(connection)
                    if len(asked) == 2:
                        break  # the second question on the first connection: closed without an answer
                    client.sendall(ANSWER)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, daemon=True)
        server.start()
        client = ScmClient(SITE, port=listener.getsockname()[1])

        answers = [client.deployments(), client.deployments()]

        client.close()
        server.join(10)
    assert answers == [[], []]
    assert asked == [0, 0, 1]
