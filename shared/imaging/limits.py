"""What a photo may measure. Apart from the decoder, so that who only checks a size need not load it."""

from typing import Final

MAX_BYTES: Final = 64 << 20
MAX_PIXELS: Final = 100_000_000
