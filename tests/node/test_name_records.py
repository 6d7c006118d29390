"""Questions to a real name server on a free port."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from homeport.model.errors import Unavailable
from homeport.node.name_records import NameRecords, find_records

RECORDS = {
    "asuid.www.example.org. TXT": ['"first"', '"two " "parts"'],
    "shop.example.org. CNAME": ["Hello.apps.example.com."],
}


@contextmanager
def name_server(*, broken: bool = False) -> Iterator[tuple[str, int]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=answer_all, args=(listener, broken), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.sendto(b"", listener.getsockname())
            thread.join(10)


def answer_all(listener: socket.socket, broken: bool) -> None:
    while True:
        data, client = listener.recvfrom(4096)
        if not data:
            return
        question = dns.message.from_wire(data)
        reply = dns.message.make_response(question)
        asked = question.question[0]
        kind = dns.rdatatype.to_text(asked.rdtype)
        found = RECORDS.get(f"{asked.name.to_text().lower()} {kind}")
        if broken:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif found is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        else:
            reply.answer.append(dns.rrset.from_text(asked.name, 60, "IN", kind, *found))
        listener.sendto(reply.to_wire(), client)


def test_texts_and_aliases_are_found() -> None:
    with name_server() as server:
        texts = asyncio.run(find_records("www.example.org", server=server))
        alias = asyncio.run(find_records("shop.example.org", server=server))

    assert (sorted(texts.texts), texts.alias) == (["first", "two parts"], None)
    assert alias == NameRecords(texts=(), alias="Hello.apps.example.com")


def test_a_name_server_that_fails_is_not_taken_for_a_no() -> None:
    with name_server(broken=True) as server, pytest.raises(Unavailable, match="--unverified"):
        asyncio.run(find_records("www.example.org", server=server))
