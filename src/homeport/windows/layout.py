"""Where a site's Windows folders are on Linux."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    r"""The Linux folders that play a site's Windows folders, as seen inside its sandbox.

    `home` plays `D:\home`, `temporary` plays `D:\local\Temp`, `local` plays `D:\local`: absolute paths without a
    trailing separator. `drive` (`D:`) is written when a Linux path is shown as Windows text; C: and D: are both
    read.
    """

    home: str = "/home"
    temporary: str = "/tmp"
    local: str = "/local"
    drive: str = "D:"
