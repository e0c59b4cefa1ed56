"""The auditor's rules, by what they look at."""
