"""A real worker whose photos may misbehave: one kills its process, one takes long. For fault tests alone."""

import os
import signal
import sys
import time
from typing import Any

from worker import pipeline

SLOW = 3.0  # seconds
_restore = pipeline.restore


def restore(data: bytes, *arguments: Any, **named: Any) -> pipeline.Result:
    """Do what the photo's comment says, then what the product does."""
    comment = data[:64]
    if b"poison" in comment:
        os.kill(os.getpid(), signal.SIGKILL)
    if b"slow" in comment:
        time.sleep(SLOW)
    return _restore(data, *arguments, **named)


if __name__ == "__main__":
    pipeline.restore = restore
    from worker.cli.main import run

    sys.argv[1:1] = ["worker"]
    run()
