"""Settings say what came, what was wanted and in which units."""

from __future__ import annotations

import pydantic
import pytest
from pydantic import Field, model_validator

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.settings import Settings


class BandSettings(Settings):
    low: float = Field(1.0, gt=0, description="lower corner, Hz")
    high: float = Field(description="upper corner, Hz")
    names: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _order(self):
        if self.low >= self.high:
            raise ValueError("low must lie below high")
        return self


def test_checked_settings_are_frozen():
    settings = BandSettings.checked(high=40)
    assert settings.high == 40.0
    with pytest.raises(pydantic.ValidationError):
        settings.high = 50.0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"low": -1, "high": 2}, r"BandSettings: low=-1: .*greater than 0 \(low: lower corner, Hz\)"),
        ({}, r"high: Field required \(high: upper corner, Hz\)"),
        ({"high": 2, "hihg": 3}, r"unknown setting 'hihg' \(known: low, high, names\)"),
        ({"high": "loud"}, "high='loud': .*valid number"),
        ({"low": 3, "high": 2}, "low must lie below high"),
        ({"high": 2, "names": ["a", 3]}, r"names\.1=3: .*valid string"),
    ],
)
def test_refusals(values, says):
    with pytest.raises(ConfigurationError, match=says):
        BandSettings.checked(**values)


def test_names_every_fault_at_once():
    with pytest.raises(ConfigurationError, match=r"low=-1.*; unknown setting 'x'"):
        BandSettings.checked(low=-1, high=1, x=1)


def test_the_schema_carries_the_units():
    properties = BandSettings.model_json_schema()["properties"]
    assert properties["low"]["description"] == "lower corner, Hz"
