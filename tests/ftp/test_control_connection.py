import asyncio

import pytest

from homeport.ftp.front.control_connection import Reader


@pytest.mark.parametrize("ended", [True, False])
def test_all_that_came_is_read_before_a_reader_says_that_it_broke(ended: bool) -> None:
    async def read() -> tuple[bytes, BaseException | None]:
        reader = Reader()
        reader.feed_data(b"all of it")
        if ended:
            reader.feed_eof()
        reader.set_exception(reset)
        return await reader.read(), reader.broken

    reset = ConnectionResetError()

    assert asyncio.run(read()) == (b"all of it", None if ended else reset)
