"""The host server."""
