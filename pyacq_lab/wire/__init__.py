"""Bytes to meaning and back, and who waits for what: no sockets, no threads, no clock reads."""
