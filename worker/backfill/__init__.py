"""A backfill of local files: by processes of this machine, or through a service."""
