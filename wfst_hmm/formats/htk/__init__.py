"""HTK: models, features, labels, lattices."""
