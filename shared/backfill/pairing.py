"""Which original belongs to which edit: by name, then capture time, then likeness. Never guessed."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final

# Bits of 64 that two pictures of one scene may differ in, and by how many the second best must be further off.
NEAR: Final = 12
MARGIN: Final = 6
# What editors and exporters add to a name.
_ADDED: Final = re.compile(r"([ _-]+(edit(ed)?|final|export(ed)?|web|hdr|sdr|copy)(?=[ _-]|$)|[ _-]*\(\d+\))+$")
_APPLE_EDIT: Final = re.compile(r"^img_e(\d+)$")


class Way(StrEnum):
    """How a pair was found."""

    NAME = "name"
    TIME = "capture_time"
    LIKENESS = "likeness"


@dataclass(frozen=True, slots=True)
class Traits:
    """What a picture says of itself: Exif's time with its fraction, and 64 bits of its looks."""

    taken: str | None
    looks: int | None


@dataclass(frozen=True, slots=True)
class Pair:
    """An edit and its original; or, where several or unsure ones were found, `candidates` and no original."""

    edit: str
    original: str | None
    way: Way | None
    candidates: tuple[str, ...] = ()


class Pairing:
    """Finds originals; their traits are read when first needed and once."""

    def __init__(
        self,
        originals: Iterable[str],
        traits: Callable[[str], Traits],
        confirm: Callable[[str, str], bool] | None = None,
    ) -> None:
        """`traits` reads a picture by its path; `confirm(edit, original)` aligns two, where that can be done."""
        self._originals = list(originals)
        self._read, self._confirm = traits, confirm
        self._known: dict[str, Traits] = {}
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for path in self._originals:
            self._by_name[plain_stem(path)].append(path)
        self._by_time: dict[str, list[str]] | None = None

    def find(self, edit: str) -> Pair:
        """The original of an edit."""
        mine = self._read(edit)
        named = [path for path in self._by_name.get(plain_stem(edit), ()) if not self._contradicts(mine, path)]
        if named:
            return self._one_of(edit, mine, named, Way.NAME)
        timed = self._at_time(mine.taken)
        if timed:
            return self._one_of(edit, mine, timed, Way.TIME)
        return self._alike(edit, mine, self._originals)

    def _one_of(self, edit: str, mine: Traits, found: list[str], way: Way) -> Pair:
        if len(found) == 1:
            return Pair(edit, found[0], way)
        if way is Way.NAME and mine.taken is not None:
            timed = [path for path in found if self._traits(path).taken == mine.taken]
            if len(timed) == 1:
                return Pair(edit, timed[0], way)
            found = timed or found
        pair = self._alike(edit, mine, found)
        return pair if pair.original or pair.candidates else Pair(edit, None, None, tuple(found))

    def _alike(self, edit: str, mine: Traits, among: list[str]) -> Pair:
        """One that looks alike, is clearly the nearest, and can be laid over the edit."""
        if mine.looks is None:
            return Pair(edit, None, None)
        distances = []
        for path in among:
            looks = self._traits(path).looks
            if looks is not None and (distance := (looks ^ mine.looks).bit_count()) <= NEAR + MARGIN:
                distances.append((distance, path))
        distances.sort()
        near = tuple(path for distance, path in distances if distance <= NEAR)
        if not near:
            return Pair(edit, None, None)
        clear = len(distances) == 1 or distances[1][0] - distances[0][0] >= MARGIN
        if clear and self._confirm is not None and self._confirm(edit, near[0]):
            return Pair(edit, near[0], Way.LIKENESS)
        return Pair(edit, None, None, near)

    def _contradicts(self, mine: Traits, path: str) -> bool:
        """Cameras count names anew; a name means nothing where both say that they were taken at other times."""
        theirs = self._traits(path).taken
        return mine.taken is not None and theirs is not None and mine.taken != theirs

    def _at_time(self, taken: str | None) -> list[str]:
        if taken is None:
            return []
        if self._by_time is None:
            self._by_time = defaultdict(list)
            for path in self._originals:
                if (time := self._traits(path).taken) is not None:
                    self._by_time[time].append(path)
        return self._by_time.get(taken, [])

    def _traits(self, path: str) -> Traits:
        if path not in self._known:
            self._known[path] = self._read(path)
        return self._known[path]


def plain_stem(path: str) -> str:
    """A name without its ending and without what editors add."""
    stem = PurePosixPath(path).stem.casefold()
    stem = _APPLE_EDIT.sub(r"img_\1", stem)
    return _ADDED.sub("", stem) or stem
