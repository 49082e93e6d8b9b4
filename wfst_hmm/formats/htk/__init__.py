"""HTK: models, configuration, labels, lattices."""
