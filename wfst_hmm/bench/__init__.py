"""Side-by-side measurements against installed peers."""
