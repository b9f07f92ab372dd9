"""Arithmetic of what people see: windows, decimation, colours."""
