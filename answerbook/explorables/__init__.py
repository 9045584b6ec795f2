"""Data that the explorable figures need."""
