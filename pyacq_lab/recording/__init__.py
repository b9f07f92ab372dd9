"""Sinks to disk and the reading of what they wrote."""
