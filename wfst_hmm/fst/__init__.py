"""Transducers as numpy arrays, and the bridge to OpenFst."""
