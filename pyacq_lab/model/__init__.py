"""Values: no I/O, no threads, no clock reads."""
