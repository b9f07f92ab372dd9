"""What the nodes of this package can be told: each setting says what it means, each quantity its unit."""

from __future__ import annotations

import importlib
import json
import re

import pytest

from pyacq_lab.model.settings import Settings
from pyacq_lab.node.registry import BUILT_IN

WITHOUT_UNIT = {
    "a number of things": "burst loops n_channels n_cycles n_taps order",
    "number or name of one": "bits channels codes counter exclude ip_port outputs pairs port seed segment",
    "the index of a sample": "clock_step_at drop duplicate end_at fail_at hang_at",
    "a ratio": "duty gain overlap quality scale sos speed taps tolerance video_quality",
    "in the units of the stream": "amplitude fill_value hysteresis nan noise offset threshold",
}
"""Settings with numbers that have no unit of their own, and why."""

DIMENSIONLESS = {word for words in WITHOUT_UNIT.values() for word in words.split()}

_UNIT_IN_TEXT = re.compile(r"[,;(] ?(Hz|kHz|s|ms|V|mV|samples|seconds|ppm)\)?$")


def settings_of(name: str) -> list[type[Settings]]:
    """Settings of a node type, and those within them."""
    found = [getattr(importlib.import_module(BUILT_IN[name]), name).settings_type]
    for kind in found:
        for field in kind.model_fields.values():
            inner = [t for t in getattr(field.annotation, "__args__", ()) if isinstance(t, type)]
            found += [t for t in inner if issubclass(t, Settings) and t not in found]
    return found


@pytest.mark.parametrize("name", BUILT_IN)
def test_settings_say_what_they_mean_and_quantities_their_unit(name: str) -> None:
    for kind in settings_of(name):
        schema = kind.model_json_schema()["properties"]
        for field, info in kind.model_fields.items():
            assert info.description, f"{kind.__name__}.{field} says nothing"
            assert not _UNIT_IN_TEXT.search(info.description), f"{kind.__name__}.{field}: unit= is for that"
            holds_numbers = re.search(r'"type": "(number|integer)"', json.dumps(schema[field]))
            if holds_numbers and field not in DIMENSIONLESS:
                assert kind.unit_of(field), f"{kind.__name__}.{field} is a number: in which unit?"


def test_none_is_excused_that_is_not_there() -> None:
    fields = {field for name in BUILT_IN for kind in settings_of(name) for field in kind.model_fields}
    assert fields >= DIMENSIONLESS
