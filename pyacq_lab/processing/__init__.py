"""Transforms of samples, as plain classes that know neither threads nor sockets."""
