"""What shells tell the page between their output: the folder, and whether they wait at the prompt.

The escape sequences are those that terminals agree on: OSC 7 for the folder as a file address, OSC 133 for the
borders of prompt (`A`), output (`C`) and end (`D;code`). The file `bashrc` has Bash write the same.
"""

from urllib.parse import quote


def folder_mark(folder: str) -> str:
    """Return the mark that names the shell's folder (a Linux path)."""
    return f"\x1b]7;file://{quote(folder, safe='/')}\x07"


def prompt_mark(code: int) -> str:
    """Return the mark of a command's end and of the prompt that follows."""
    return f"\x1b]133;D;{code}\x07\x1b]133;A\x07"


OUTPUT_MARK = "\x1b]133;C\x07"
"""The mark between the line that was typed and its output."""
