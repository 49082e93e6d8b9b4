"""Kaldi: matrices, archives, models, trees, lattices."""
