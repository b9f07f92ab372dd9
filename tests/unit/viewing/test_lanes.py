from __future__ import annotations

import numpy as np
import pytest

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.display import Scaling, scale_label, ticks
from pyacq_lab.viewing.lanes import LaneSettings

SPEC = StreamSpec(shape=(-1, 3), sample_rate=100.0, channel_names=("a", "b", "c"), units="mV")
SCALING = Scaling(np.array([0.0, 10.0, -4.0]), np.array([1.0, 5.0, 2.0]))


def lanes(settings, *values, spec=SPEC):
    """What lanes show of one bin of each channel's (least, greatest)."""
    return settings.transform(spec, SCALING).to_lanes(np.array([values], float))[0].tolist()


def test_untouched_all_channels_are_drawn_in_their_order():
    assert LaneSettings().shown(SPEC) == [0, 1, 2]
    assert lanes(LaneSettings(), (-1, 1), (10, 15), (-6, -2)) == [[-1, 1], [0, 1], [-1, 1]]


def test_channels_are_left_out_put_in_order_and_heard_alone():
    hidden = LaneSettings().with_shown(["b"], False)
    assert hidden.shown(SPEC) == [0, 2]
    assert hidden.with_shown(["b"], True).shown(SPEC) == [0, 1, 2]
    assert hidden.with_order(["c"]).shown(SPEC) == [2, 0]
    alone = hidden.with_solo(["b"], True)
    assert alone.shown(SPEC) == [1]
    assert alone.with_solo(["b"], False) == hidden
    assert LaneSettings().with_moved(SPEC, "a", 1).shown(SPEC) == [1, 0, 2]
    assert LaneSettings().with_moved(SPEC, "c", -9).shown(SPEC) == [2, 0, 1]
    assert hidden.with_moved(SPEC, "b", 1) == hidden


def test_something_is_always_drawn():
    assert LaneSettings().with_shown(["a", "b", "c"], False).shown(SPEC) == [0, 1, 2]
    assert LaneSettings().with_solo(["gone"], True).shown(SPEC) == [0, 1, 2]


def test_an_inverted_lane_has_the_lesser_value_first():
    inverted = LaneSettings().with_inverted(["a"], True)
    assert lanes(inverted, (-0.5, 1), (10, 10), (-4, -4)) == [[-1, 0.5], [0, 0], [0, 0]]
    assert inverted.with_inverted(["a"], False) == LaneSettings()


def test_gain_and_offset_are_of_one_channel():
    louder = LaneSettings().with_gain(["a"], 2).with_gain(["a"], 2).with_shift(["a"], 0.5)
    assert lanes(louder, (-0.25, 0.25), (10, 15), (-6, -2)) == [[0, 2], [0, 1], [-1, 1]]
    assert louder.with_gain(["a"], 0.25).with_shift(["a"], -0.5) == LaneSettings()
    with pytest.raises(ConfigurationError, match="above 0"):
        louder.with_gain(["a"], 0)


def test_the_streams_own_scale_counts_also_below_zero():
    spec = SPEC.replace(scale=(-2.0, 1.0, 1.0), offset=(1.0, 0.0, 0.0))
    assert lanes(LaneSettings(), (0, 1), (10, 10), (-4, -4), spec=spec)[0] == [-1, 1]


def test_a_transform_says_which_value_lies_where():
    moved = LaneSettings().with_inverted(["b"], True).with_shift(["b"], 0.25).with_solo(["b"], True)
    transform = moved.transform(SPEC, SCALING)
    value = transform.centre[0] + 0.3 * transform.half[0]
    extremes = np.zeros((1, 3, 2))
    extremes[0, 1] = value
    np.testing.assert_allclose(transform.to_lanes(extremes)[0, 0], 0.3)


def test_labels_of_a_lane_that_is_upside_down_are_upside_down():
    marks = ticks(["a"], Scaling(np.zeros(1), np.array([-1.0])), "mV", 200)
    assert [(y > 0, label) for y, label in marks if y] == [(False, "0.5 mV"), (True, "\N{MINUS SIGN}0.5 mV")]
    assert scale_label(Scaling(np.zeros(2), np.array([-1.0, 1.0])), "mV") == "±1 mV"


def test_settings_survive_a_notebook_and_a_stream_with_other_channels():
    settings = LaneSettings().with_gain(["c"], 3).with_shown(["a"], False).with_order(["c", "b"])
    again = LaneSettings.checked(**LaneSettings.model_validate_json(settings.model_dump_json()).model_dump())
    assert again == settings
    assert again.shown(SPEC.replace(shape=(-1, 2), channel_names=("b", "x"))) == [0, 1]
