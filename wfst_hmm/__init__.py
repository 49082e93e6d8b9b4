"""WFST-based speech decoding: train GMM-HMMs, build H∘C∘L∘G graphs, decode, align, look inside."""

__version__ = "0.1.0"
