"""`python -m homeport.ftp.front …`: the front's process, a child of the supervisor."""

import argparse
import asyncio
from pathlib import Path

from homeport.ftp.front.options import FrontOptions
from homeport.ftp.front.serving import serve
from homeport.node.local_api import configure_log, stop_event


def main() -> None:
    """Run until SIGTERM or until the supervisor is gone (standard input ends)."""
    configure_log()
    asyncio.run(_run(_options()))


async def _run(options: FrontOptions) -> None:
    await serve(options, stop_event())


def _options() -> FrontOptions:
    parser = argparse.ArgumentParser(prog="homeport.ftp.front")
    for name in ("explicit", "implicit"):
        parser.add_argument(f"--{name}", type=_descriptors, default=())
    for name in ("certificate", "auth-socket", "sites"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("passive-first", "passive-last"):
        parser.add_argument(f"--{name}", type=int, required=True)
    return FrontOptions(**vars(parser.parse_args()))


def _descriptors(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(",") if each)


if __name__ == "__main__":
    main()
