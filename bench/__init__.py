"""Measurements of cost and memory; `make bench` runs them. Nothing here ships."""
