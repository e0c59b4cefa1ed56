"""A backfill on this machine alone: a pool of processes over local files."""
