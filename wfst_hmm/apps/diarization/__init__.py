"""Who spoke when: clusters of Gaussian mixtures, re-segmented by our own search."""
