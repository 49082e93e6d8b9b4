"""Songs that match a tag: mixtures against a background, ranked by likelihood ratio."""
