"""Whole libraries: the rows of a backfill, where their outputs go, and what is said of each in the end.

Nothing here knows a database, a broker or a web framework, so that a service can use what `regain backfill` uses.
"""
