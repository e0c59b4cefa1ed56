"""Throughput of several workers beside each other, without the service around them."""

import multiprocessing
import time
from pathlib import Path
from typing import Any, Final

from shared.options import Options
from shared.registry import find_model
from shared.settings import load_settings
from worker import pipeline
from worker.predictors import make_predictor

PULLED: Final = 30  # photos a process
READY: Final = 120.0  # seconds until a process must have done its first photo


def images_a_minute(workers: int, photo: Path) -> float:
    """Wall-clock throughput of that many processes of one thread.

    Raises:
        RuntimeError: a process did not come up.
    """
    context = multiprocessing.get_context("spawn")
    ready, go = context.Semaphore(0), context.Event()
    pulling = [context.Process(target=_pull, args=(photo, ready, go), daemon=True) for _ in range(workers)]
    for process in pulling:
        process.start()
    if not all(ready.acquire(timeout=READY) for _ in pulling):
        raise RuntimeError("a process did not do its first photo; its words are above")
    begun = time.perf_counter()
    go.set()
    for process in pulling:
        process.join()
    return workers * PULLED / (time.perf_counter() - begun) * 60


def _pull(photo: Path, ready: Any, go: Any) -> None:
    data = photo.read_bytes()
    settings = load_settings()
    predictor = make_predictor(find_model(settings.model, settings.models_dir), 1)
    pipeline.restore(data, predictor, Options(replace=True))
    ready.release()
    go.wait()
    for _ in range(PULLED):
        pipeline.restore(data, predictor, Options(replace=True))
