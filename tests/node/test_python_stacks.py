"""Where a process stands, by what py-spy says of it: text that the site can write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.node.python_stacks import standing_at

IMPORTING = """Process 7: python3.11 /home/site/wwwroot/server.py
Python v3.11.7 (/opt/python/bin/python3.11)

Thread 7 (idle): "MainThread"
    create_connection (/opt/python/lib/python3.11/socket.py:836)
    connect (/home/python3117x64/lib/python3.11/site-packages/psycopg/conn.py:90)
    wait_for_database (/home/site/wwwroot/shop/db.py:4)
    <module> (/home/site/wwwroot/server.py:1)
Thread 8 (idle): "ticker"
    tick (/home/site/wwwroot/ticker.py:9)
"""
PARENT = """Process 5: python3.11 -m uvicorn app:app --reload
Python v3.11.7 (/opt/python/bin/python3.11)

Thread 5 (idle): "MainThread"
    run (/home/site/wwwroot/antenv/lib/python3.11/site-packages/uvicorn/reload.py:40)
    <module> (/home/site/wwwroot/start.py:2)
"""


@pytest.mark.parametrize(
    ("stacks", "expected"),
    [
        (IMPORTING, "shop/db.py:4 in wait_for_database"),
        (f"{PARENT}\n{IMPORTING}", "shop/db.py:4 in wait_for_database"),
        (PARENT, "start.py:2 in <module>"),
        (
            PARENT.replace("<module> (/home", "<module> (<frozen"),
            "antenv/lib/python3.11/site-packages/uvicorn/reload.py:40 in run",
        ),
        ("Error: not a Python", ""),
        ("", ""),
    ],
)
def test_a_process_stands_at_the_innermost_line_of_the_sites_own(stacks: str, expected: str) -> None:
    assert standing_at(stacks) == expected


@given(st.text())
def test_whatever_is_said_the_answer_is_one_short_line(text: str) -> None:
    found = standing_at(f'Thread 1: "MainThread"\n    {text} (/home/site/wwwroot/{text}:3)\n')

    assert "\n" not in found
    assert len(found) < 1000
