"""When a part of the platform that ended is started again."""

from itertools import accumulate, repeat

import pytest

from homeport.node.supervisor import next_pause


def test_a_part_that_keeps_ending_is_started_again_at_least_every_ten_seconds() -> None:
    pauses = list(
        accumulate(repeat(1.0, 20), lambda pause, lived: next_pause(pause, lived=lived), initial=0.1)
    )

    assert pauses[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert max(pauses) == pauses[-1] == 10.0


def test_a_part_that_ran_for_long_is_started_again_at_once() -> None:
    assert next_pause(10.0, lived=11.0) == pytest.approx(0.1)
