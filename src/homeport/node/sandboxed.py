"""Starting a program in a site's sandbox."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from homeport.node.processes import Process, start_process
from homeport.node.sandbox import (
    TRUSTED_ENVIRONMENT,
    Sandbox,
    bubblewrap_options,
    environment_block,
    launch_line,
)


def start_sandboxed(
    sandbox: Sandbox,
    program: Sequence[str],
    *,
    environment: Mapping[str, str],
    seccomp: bytes,
    stdin: int,
    output: int,
    inherited: Sequence[int] = (),
) -> Process:
    """Start `program` with `environment` in the sandbox; descriptors in `inherited` keep their numbers."""
    with (
        memory_file(seccomp) as filter_fd,
        memory_file(bubblewrap_options(sandbox, seccomp_fd=filter_fd)) as options_fd,
        memory_file(environment_block(environment)) as environment_fd,
    ):
        return start_process(
            launch_line(sandbox, program, options_fd=options_fd, environment_fd=environment_fd),
            environment=TRUSTED_ENVIRONMENT,
            stdin=stdin,
            output=output,
            inherited=(filter_fd, options_fd, environment_fd, *inherited),
        )


@contextmanager
def memory_file(content: bytes) -> Iterator[int]:
    """Give a descriptor from which a child reads `content`; ours is closed afterwards."""
    descriptor = os.memfd_create("homeport")
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
