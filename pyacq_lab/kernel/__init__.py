"""Jupyter kernels: the only importer of ipykernel and jupyter_client."""
