"""Recordings to models."""
