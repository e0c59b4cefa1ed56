"""Counting outcomes, and how long the rest may take."""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

from shared.backfill.rows import SKIPPED, Outcome

SPAN: Final = 60.0  # seconds over which the rate is measured
_SAMPLES: Final = 4096  # times that are remembered at most


@dataclass(slots=True)
class Tally:
    """Outcomes so far; `total` rows are known, where it is. Times are seconds of any one clock."""

    total: int | None = None
    counts: Counter[Outcome] = field(default_factory=Counter)
    _times: deque[float] = field(default_factory=lambda: deque(maxlen=_SAMPLES))
    _begun: float | None = None

    def begin(self, now: float) -> None:
        """The work starts."""
        self._begun = now

    def add(self, outcome: Outcome, now: float | None = None) -> None:
        """One more row; `now` where it took work, so that skipped ones promise nothing about the rest."""
        self.counts[outcome] += 1
        if now is not None:
            self._times.append(now)

    @property
    def done(self) -> int:
        """Rows with an outcome."""
        return self.counts.total()

    @property
    def failed(self) -> int:
        """Rows that failed."""
        return self.counts[Outcome.FAILED]

    @property
    def skipped(self) -> int:
        """Rows that needed nothing."""
        return sum(self.counts[outcome] for outcome in SKIPPED)

    def rate(self, now: float) -> float | None:
        """Rows a second that were worked on of late; None: not yet known."""
        while len(self._times) > 1 and self._times[0] < now - SPAN:
            self._times.popleft()
        if not self._times or self._begun is None:
            return None
        since = max(self._begun, now - SPAN)
        return len(self._times) / max(now - since, 1e-3)

    def eta(self, now: float) -> float | None:
        """Seconds that the rest takes if every row needs work; None: not yet known."""
        rate = self.rate(now)
        if rate is None or self.total is None:
            return None
        return max(0, self.total - self.done) / rate
