"""Random small inputs for property tests."""
