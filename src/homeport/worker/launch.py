"""The script that a site's own Python runs: it makes `homeport.worker` importable, then leaves no trace of that.

The application must find its own modules and nothing of ours, so both the folder of this script and the folder that
holds the `homeport` package leave `sys.path` before any code of the site runs.
"""

import os
import sys


def run() -> int:
    """Import the worker, restore `sys.path` and serve; return the exit code."""
    here = os.path.dirname(os.path.abspath(__file__))
    # Not so under `python -P` or PYTHONSAFEPATH, where the script's folder is never put there.
    if sys.path and os.path.abspath(sys.path[0]) == here:
        del sys.path[0]
    sys.path.insert(0, os.path.dirname(os.path.dirname(here)))
    try:
        from homeport.worker.main import main
    finally:
        del sys.path[0]
    return main()


if __name__ == "__main__":
    sys.exit(run())
