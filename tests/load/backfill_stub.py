"""The product's command with a predictor that costs nothing, in every process of the pool."""

from typing import Any

from tests.load.backfill import Flat
from worker.backfill import processes


def make_flat(*_: Any) -> Flat:
    """In place of `make_predictor`."""
    return Flat()


# Spawned processes import the main module anew, so this holds in each of them.
vars(processes)["make_predictor"] = make_flat

if __name__ == "__main__":
    from worker.cli.main import run

    run()
