"""Guided restoration: the true map of what an edit left alone, and the network where it did not."""
