"""Settings of all devices can be drawn as forms, and each says what it means."""

from __future__ import annotations

import json

import pytest

from pyacq_lab import devices
from pyacq_lab.node.registry import BUILT_IN, Registry

IN_SECONDS = {
    "timeout",
    "resolve_timeout",
    "connect_timeout",
    "silence",
    "gap",
    "latency",
    "period",
    "buffer",
}


@pytest.mark.parametrize("name", devices.__all__)
def test_each_setting_says_what_it_means_and_in_which_unit(name):
    kind = getattr(devices, name).settings_type
    json.dumps(kind.model_json_schema())
    for setting, field in kind.model_fields.items():
        assert field.description, setting
        if setting == "sample_rate":
            assert kind.unit_of(setting) == "Hz"
        if setting in IN_SECONDS:
            assert kind.unit_of(setting) == "s", setting


@pytest.mark.parametrize("name", devices.__all__)
def test_each_is_a_node_type(name):
    assert name in BUILT_IN
    assert Registry().find(name) is getattr(devices, name)
