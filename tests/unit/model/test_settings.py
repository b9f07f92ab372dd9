"""Settings say what came, what was wanted and in which units."""

from __future__ import annotations

import pydantic
import pytest
from pydantic import model_validator

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.settings import Settings, setting


class BandSettings(Settings):
    low: float = setting(1.0, gt=0, unit="Hz", live=True, description="lower corner")
    high: float = setting(unit="Hz", live=True, description="upper corner")
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
        ({"low": -1, "high": 2}, r"BandSettings: low=-1: .*greater than 0 \(low: lower corner \[Hz\]\)"),
        ({}, r"high: Field required \(high: upper corner \[Hz\]\)"),
        ({"high": 2, "hihg": 3}, r"unknown setting 'hihg' \(known: low, high, names\)"),
        ({"high": "loud"}, "high='loud': .*valid number"),
        ({"low": 3, "high": 2}, "^BandSettings: low must lie below high$"),
        ({"high": float("inf")}, "high=inf: Input should be a finite number"),
        ({"low": float("nan"), "high": 2}, "low=nan: "),
        ({"high": 2, "names": ["a", 3]}, r"names\.1=3: .*valid string"),
    ],
)
def test_refusals(values, says):
    with pytest.raises(ConfigurationError, match=says):
        BandSettings.checked(**values)


class ArraySettings(Settings):
    bands: tuple[BandSettings, ...] = ()
    first: BandSettings | None = None
    filler: float | None = setting(None, allow_inf_nan=True)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            {"bands": [{"high": 2}, {"high": 2, "hihg": 3}]},
            r"setting 'bands\.1\.hihg' \(known: low, high, names\)",
        ),
        ({"first": {"hihg": 3, "high": 2}}, r"unknown setting 'first\.hihg' \(known: low, high, names\)"),
        ({"bands": [{"low": 3, "high": 2}]}, r"bands\.0=\{'low': 3, 'high': 2\}: low must lie below high"),
    ],
)
def test_refusals_in_settings_within_settings(values, says):
    with pytest.raises(ConfigurationError, match=says):
        ArraySettings.checked(**values)


def test_a_field_may_take_what_is_not_finite():
    assert ArraySettings.checked(filler=float("inf")).filler == float("inf")


def test_names_every_fault_at_once():
    with pytest.raises(ConfigurationError, match=r"low=-1.*; unknown setting 'x'"):
        BandSettings.checked(low=-1, high=1, x=1)


def test_the_schema_carries_what_a_form_shows():
    schema = BandSettings.model_json_schema()
    assert schema["properties"]["low"] == {
        "default": 1.0,
        "description": "lower corner",
        "exclusiveMinimum": 0,
        "live": True,
        "title": "Low",
        "type": "number",
        "unit": "Hz",
    }
    assert not {"live", "unit"} & set(schema["properties"]["names"])
    assert schema["required"] == ["high"]


def test_live_settings_change_and_the_others_stay():
    settings = BandSettings.checked(high=40, names=("a",))
    assert BandSettings.live_names() == ("low", "high")
    changed = settings.changed(high=30)
    assert (changed, settings.high) == (BandSettings.checked(high=30, names=("a",)), 40)
    assert changed.model_fields_set == {"high", "names"}


def test_a_form_may_send_all_that_it_shows():
    settings = BandSettings.checked(high=40, names=("a",))
    assert settings.changed(low=2, high=40, names=["a"]) == BandSettings.checked(low=2, high=40, names=["a"])


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"names": ["b"]}, r"names cannot change .*\(live are: low, high\): stop and configure it"),
        ({"low": -1}, "low=-1: .*greater than 0"),
        ({"low": 50}, "low must lie below high"),
        ({"hihg": 3}, "unknown setting 'hihg'"),
    ],
)
def test_refusals_of_changes(values, says):
    with pytest.raises(ConfigurationError, match=says):
        BandSettings.checked(high=40).changed(**values)


def test_where_nothing_is_live_the_refusal_says_so():
    class Plain(Settings):
        size: int = 1

    with pytest.raises(ConfigurationError, match="live are: none"):
        Plain().changed(size=2)
