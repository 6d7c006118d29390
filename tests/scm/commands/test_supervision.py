from hypothesis import given
from hypothesis import strategies as st

from homeport.scm.commands.capture import Capture
from homeport.scm.commands.supervision import IdleWatch


def test_a_command_is_idle_after_two_looks_without_activity() -> None:
    watch = IdleWatch(10)
    watch.touch(0)

    assert not watch.is_due(10)
    assert watch.is_due(10.1)
    assert not watch.is_idle(1.0, 11)
    assert not watch.is_due(20)
    assert watch.is_due(22)
    assert watch.is_idle(1.0, 22)


def test_activity_between_two_looks_starts_anew() -> None:
    watch = IdleWatch(10)

    assert [watch.is_idle(cpu, now) for cpu, now in [(1.0, 10), (1.5, 20), (1.5, 30)]] == [False, False, True]


@given(st.lists(st.binary()), st.integers(0, 20))
def test_a_capture_never_holds_more_than_its_limit(chunks: list[bytes], limit: int) -> None:
    capture = Capture(limit)
    for chunk in chunks:
        capture.feed(chunk)

    size = sum(map(len, chunks))
    assert (f"{size - limit} more bytes" in capture.text()) is (size > limit)
    assert len(capture.text()) <= limit + 1 + (100 if size > limit else 0)


@given(st.text(st.sampled_from("ab\r\n")))
def test_every_line_is_ended_by_one_newline(text: str) -> None:
    capture = Capture(1000)
    capture.feed(text.encode())

    assert (
        capture.text()
        == "".join(line + "\n" for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))[
            : None if text and not text.endswith(("\n", "\r")) else -1
        ]
    )
