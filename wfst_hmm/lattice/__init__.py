"""Paths to answers."""
