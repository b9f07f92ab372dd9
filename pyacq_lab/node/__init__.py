"""Nodes: a role, its ports and its thread."""
