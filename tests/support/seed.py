"""The seed of a test that leaves something to chance: FAULT_SEED if it is set, and shown when the test fails."""

import os
import random


def printed_seed() -> int:
    """A seed, printed so that a failure can be tried again."""
    seed = int(os.environ.get("FAULT_SEED", random.randrange(10**6)))
    print(f"FAULT_SEED={seed}")  # noqa: T201 - shown when the test fails
    return seed
