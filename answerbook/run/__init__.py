"""Run sources as a reader would, and keep what they print and draw."""
