"""The library in the notebook: manager, handles, logs."""
