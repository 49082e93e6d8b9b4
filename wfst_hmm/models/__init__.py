"""Features to scores: topologies, Gaussian mixtures, HMMs, acoustic models."""
