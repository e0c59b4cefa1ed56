"""XMP packets: what hdrgm and GContainer say, written into the user's own packet."""
