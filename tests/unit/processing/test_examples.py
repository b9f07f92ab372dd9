"""The examples in the transforms' docstrings are true."""

from __future__ import annotations

import doctest
import importlib

import pytest

from pyacq_lab import processing


@pytest.mark.parametrize("name", processing.__all__)
def test_examples(name):
    module = importlib.import_module(getattr(processing, name).__module__)
    assert doctest.testmod(module).failed == 0
