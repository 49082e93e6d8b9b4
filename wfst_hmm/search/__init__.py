"""Graph and scores to paths."""
