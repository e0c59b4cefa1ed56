"""Whole libraries: the rows of a backfill, where their outputs go, and what is said of each in the end.

Nothing here knows a database, a broker or a web framework: the service and `regain backfill --local` use the same.
"""
