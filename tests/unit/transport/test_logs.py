"""What is kept of a record: bounded, plain, and able to travel."""

import logging
import math

import numpy as np

from pyacq_lab.model.logs import LogRecord
from pyacq_lab.testing.clock import ManualClock
from pyacq_lab.transport.logs import MAX_FIELD, MAX_FIELDS, MAX_TEXT, Said, make_words, plain_fields
from pyacq_lab.wire.logcodec import LogOrigin, as_record, decode_batch, encode_batch, encode_words


class Angry:
    def __repr__(self):
        raise ValueError("no")


def test_extra_fields_are_plain_or_their_repr():
    fields = {
        "n": 3,
        "x": 0.5,
        "on": True,
        "none": None,
        "who": [1, 2],
        "big": 2**70,
        5: "five",
        "a": Angry(),
    }
    plain = plain_fields({**fields, "np": np.float64(2.5), "inf": math.inf, "text": "x" * 2000})

    assert plain["n"] == 3
    assert plain["on"] is True
    assert plain["none"] is None
    assert plain["who"] == "[1, 2]"
    assert plain["big"] == str(2**70)
    assert plain["5"] == "five"
    assert "ValueError" in plain["a"]
    assert type(plain["np"]) is float
    assert plain["text"].startswith("x" * MAX_FIELD + "…")


def test_too_many_extra_fields_are_counted():
    plain = plain_fields({str(i): i for i in range(100)})

    assert len(plain) == MAX_FIELDS + 1
    assert plain["…"] == "68 more fields"


def test_a_record_travels_with_all_that_it_holds():
    clock, origin = ManualClock(), LogOrigin(host="rig", process="cam", pid=7)
    said = Said(logger="rig.valve", thread="pump", node="valve", level=logging.ERROR, extra={"valve": 7})
    words = make_words(clock, "stuck \udcff" + "x" * MAX_TEXT, said)
    (record,) = decode_batch(encode_batch(41, origin, [encode_words(words)]))

    assert record == as_record(words, 41, origin)
    assert isinstance(record, LogRecord)
    assert (record.seq, record.host, record.process, record.pid, record.thread) == (
        41,
        "rig",
        "cam",
        7,
        "pump",
    )
    assert (record.node, record.logger, record.level, record.extra) == (
        "valve",
        "rig.valve",
        40,
        {"valve": 7},
    )
    assert record.time_ns == clock.now_ns()
    assert record.mono_ns > 0
    assert record.message.startswith("stuck \\udcff")
    assert record.message.endswith("more characters)")
