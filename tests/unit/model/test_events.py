"""Events as samples, and back."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.events import Event, event_array, event_dtype, event_spec, events_in

I64, I32 = st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1)
LABELS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=16)


@given(st.lists(st.builds(Event, I64, I64, I64, I32, I32, LABELS), max_size=5))
def test_events_come_back_as_they_were(events):
    assert events_in(event_array(events)) == events


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=9), st.integers(8, 20)
)
def test_a_long_label_is_cut_at_a_character_and_says_so(label, nbytes):
    (event,) = events_in(event_array([Event(0, label=label)], nbytes))
    if len(label.encode()) <= nbytes:
        assert event.label == label
    else:
        assert event.label.endswith("…")
        assert label.startswith(event.label[:-1])
        assert len(event.label.encode()) <= nbytes


def test_spec_is_that_of_the_array():
    spec = event_spec(1000.0, 20)
    array = event_array([Event(5, 7)], 20)
    assert (spec.streamtype, spec.np_dtype, spec.sample_shape) == ("event", array.dtype, array.shape[1:])
    assert spec.ring_size == 10_000


def test_other_samples_are_no_events():
    with pytest.raises(ConfigurationError, match="are no events: wanted"):
        events_in(np.zeros(3))


def test_fields_are_those_of_the_type():
    assert event_dtype().names == tuple(f.name for f in fields(Event))
