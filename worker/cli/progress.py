"""A line that shows a backfill: done, failed, skipped, rate and time left."""

import time

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from shared.backfill.tally import Tally
from worker.cli.console import err


class Bar:
    """The line; nothing where standard error is no terminal."""

    def __init__(self, total: int | None) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[said]}"),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        )
        self._task = self._progress.add_task("restoring", total=total, said="")

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, tally: Tally) -> None:
        """Show the counts of a run."""
        now = time.monotonic()
        self.show(tally.done, tally.failed, tally.skipped, tally.rate(now), tally.eta(now))

    def show(self, done: int, failed: int, skipped: int, rate: float | None, eta: float | None) -> None:
        """Show numbers; `rate` is rows a second, `eta` seconds, None where not known."""
        said = f"failed {failed} · skipped {skipped}"
        if rate is not None and eta is not None:
            said += f" · {rate:.2f}/s · {span(eta)} left"
        self._progress.update(self._task, completed=done, said=said)

    def state(self, description: str, total: int | None) -> None:
        """Show what is going on, and how many rows there are if that is known."""
        self._progress.update(self._task, description=description, total=total)


def span(seconds: float) -> str:
    """A time as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
