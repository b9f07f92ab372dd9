"""The program that runs inside the remote kernel."""
