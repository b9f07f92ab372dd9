"""Panels of hosts, processes and logs."""
