"""How much work one transformation may be: tenants write both the document and the expressions."""

from dataclasses import dataclass

MOST_STEPS = 2_000_000
"""Nodes looked at and expressions evaluated; about two seconds."""
MOST_WRITTEN = 4 * 1024 * 1024
"""Characters that transforms may add to a document."""


class Exhausted(Exception):
    """The transformation costs more than it may."""


@dataclass(slots=True)
class Budget:
    """What is left of both."""

    steps: int = MOST_STEPS
    written: int = MOST_WRITTEN

    def step(self, count: int = 1) -> None:
        """Count work done. Raises `Exhausted`."""
        self.steps -= count
        if self.steps < 0:
            raise Exhausted("The expressions of this transform take too long on this document.")

    def write(self, characters: int) -> None:
        """Count text that is about to be added. Raises `Exhausted`."""
        self.written -= characters
        if self.written < 0:
            raise Exhausted(f"The transform adds more than {MOST_WRITTEN} characters to the document.")
