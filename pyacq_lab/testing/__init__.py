"""Fakes that break on demand and contracts for the authors of nodes."""
