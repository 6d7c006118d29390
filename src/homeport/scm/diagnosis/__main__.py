"""`python -m homeport.scm.diagnosis`: why a preview does not start; runs in its sandbox, started by the agent.

Reads `{"site", "deployment", "app_settings", "hosting"}` and prints what `/api/homeport/why` answers.
"""

import json
import os
import sys
from pathlib import Path

from homeport.scm.diagnosis.answer import why_answer
from homeport.scm.diagnosis.causes import find_causes
from homeport.scm.diagnosis.gathering import gather


def main() -> None:
    """Answer what is asked on standard input."""
    asked = json.load(sys.stdin)
    evidence = gather(
        Path(os.environ["HOME"]),
        site=asked["site"],
        app_settings=asked["app_settings"],
        hosting=asked["hosting"],
        preview=asked["deployment"],
    )
    json.dump(why_answer(evidence, find_causes(evidence)), sys.stdout)


if __name__ == "__main__":
    main()
