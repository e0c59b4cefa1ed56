"""The `regain` command."""
