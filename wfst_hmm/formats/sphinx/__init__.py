"""CMU Sphinx: acoustic models and feature files."""
