"""What a deployment takes beside the tools that do nothing else. Pure."""

from collections.abc import Sequence
from statistics import median

from bench.report.words import ratio, table
from bench.samples import DeploymentKind, DeploymentSample
from bench.summary import grouped

KIND_WORDS = {
    DeploymentKind.FILES: "5,000 files, 50 MB, without a build; beside `unzip`",
    DeploymentKind.PACKAGES: "30 packages, caches warm; beside `pip install` into a fresh environment",
}

_NOTE = """\
From the first byte of the push to the end of the deployment: upload, check, unpack, build, the step to the new version. Both begin with nothing and run on the same core, one right after the other, in turns first.
Before each, what was written is brought to the disk, and nothing is removed between the rounds: neither pays for what the other, or the round before, has left to the file system.
A cache is warm as earlier installations of the same packages leave it: a site's holds the unpacked packages and their byte code, pip's the wheels. Both end with the packages and their byte code in place."""


def deployments(samples: Sequence[DeploymentSample]) -> str:
    """Write the table; nothing without samples."""
    if not samples:
        return ""
    head = ["", "deployment", "the tool alone", "ratio", "rounds"]
    body = [
        [
            KIND_WORDS[kind],
            f"{median(sample.seconds for sample in group):.2f} s",
            f"{median(sample.peer_seconds for sample in group):.2f} s",
            ratio(deployment_ratio(group)),
            str(len(group)),
        ]
        for kind, group in grouped(samples, key=lambda sample: sample.kind).items()
    ]
    return f"{_NOTE}\n\n{table(head, body)}"


def deployment_ratio(samples: Sequence[DeploymentSample]) -> float:
    """Return the median of the ratios of the rounds."""
    return median(sample.seconds / sample.peer_seconds for sample in samples)
