"""The duties of bulk backfill, each in a thread of its own beside the control loop, which they must not delay."""
