"""Lexicon, topology and grammar to decoding graphs."""
