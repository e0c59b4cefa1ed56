"""Seeded mutation fuzz of the codec: `python -m tests.fuzz.mutate --count 20000 --seed 1`.

Any bytes must give a value or UltraHdrError. The first other exception is printed with the seed that makes it.
"""

import argparse
import os
import random
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from shared.ultrahdr import GainMapMetadata, UltraHdrError, assemble, audit, parse
from tests.golden.mutations import matrix
from tests.golden.recipe import gain_map_image, photo

LARGEST = 300_000  # bytes of a seed file: small files find more faults a second
METADATA = GainMapMetadata.from_floats(
    gain_map_min=0, gain_map_max=2, gamma=1, base_offset=0, alternate_offset=0,
    base_hdr_headroom=0, alternate_hdr_headroom=2,
)  # fmt: skip


def seeds() -> list[bytes]:
    """Files to mutate: the matrix, and small sample files where there are any."""
    folder = Path(os.environ.get("REGAIN_SAMPLES", "../shared/samples"))
    real = [file.read_bytes() for file in sorted(folder.glob("*.jpg")) if file.stat().st_size < LARGEST]
    return [*matrix().values(), photo(), *real]


def flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 20)):
        data[rng.randrange(len(data))] = rng.randrange(256)


def flip_header(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 6)):
        data[rng.randrange(min(2500, len(data)))] ^= 1 << rng.randrange(8)


def truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(1, len(data)) :]


def cut(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.randint(1, 400)]


def repeat(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    part = data[start : start + rng.randint(1, 3000)]
    data[start:start] = part * rng.randint(1, 3)


def lengths(data: bytearray, rng: random.Random) -> None:
    """Overwrite the length of some segment."""
    marker = data.find(b"\xff" + bytes((rng.choice((0xE0, 0xE1, 0xE2, 0xDA, 0xC0, 0xDB)),)))
    if 0 <= marker < len(data) - 4:
        data[marker + 2 : marker + 4] = rng.choice((0, 1, 2, 3, 0xFFFF, rng.randrange(65536))).to_bytes(2)


def text(data: bytearray, rng: random.Random) -> None:
    """Change a digit or a bracket of some XMP."""
    start = data.find(b"hdrgm:")
    if start >= 0:
        where = min(len(data) - 1, start + rng.randrange(600))
        data[where] = rng.choice(b'<>/"&0123456789-eE.')


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip, flip_header, truncate, cut, repeat, lengths, text,
)  # fmt: skip


def mutated(files: list[bytes], rng: random.Random) -> bytes:
    data = bytearray(rng.choice(files))
    for _ in range(rng.randint(1, 3)):
        if len(data) > 8:
            rng.choice(MUTATIONS)(data, rng)
    return bytes(data)


def outcome(data: bytes) -> str:
    """What the codec makes of a file; anything but a value or UltraHdrError escapes."""
    try:
        file = parse(data)
        audit(data)
        assemble(data, gain_map_image("L", (40, 27)), METADATA)
        if file.gain_map is not None:
            assemble(photo(), file.gain_map, METADATA)
    except UltraHdrError as error:
        return error.code
    return "hdr" if file.is_hdr else "flat"


def run(count: int, seed: int) -> Counter[str]:
    """Try `count` files.

    Raises:
        AssertionError: another exception escaped; the text names the file's own seed.
    """
    files, outcomes = seeds(), Counter[str]()
    for number in range(count):
        rng = random.Random(f"{seed}-{number}")
        try:
            outcomes[outcome(mutated(files, rng))] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}, file {number}: {error!r}\n{traceback.format_exc()}") from error
    return outcomes


def main() -> None:
    """Read the command line and fuzz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    try:
        outcomes = run(args.count, args.seed)
    except AssertionError as error:
        print(error)
        sys.exit(1)
    print(f"{args.count} files: " + ", ".join(f"{name} {number}" for name, number in outcomes.most_common()))


if __name__ == "__main__":
    main()
