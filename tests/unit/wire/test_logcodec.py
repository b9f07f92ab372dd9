import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.errors import ProtocolError
from pyacq_lab.wire.logcodec import LogOrigin, Words, as_record, decode_batch, encode_batch, encode_words

ORIGIN = LogOrigin(host="rig", process="cam", pid=7)
plain = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.floats(allow_nan=False)
words = st.builds(
    Words,
    st.integers(0, 2**62),
    st.integers(0, 2**62),
    *[st.text()] * 4,
    st.integers(0, 50),
    *[st.text()] * 2,
    st.dictionaries(st.text(), plain),
)


def message_of(batch, first=0):
    return encode_batch(first, ORIGIN, [encode_words(w) for w in batch])


@given(st.lists(words), st.integers(0, 2**62))
def test_a_batch_comes_back_as_it_went(batch, first):
    expected = [as_record(w, first + i, ORIGIN) for i, w in enumerate(batch)]

    assert decode_batch(message_of(batch, first)) == expected


@given(st.lists(words, min_size=1), st.data())
def test_a_batch_that_lost_its_end_is_refused(batch, data):
    message = message_of(batch)
    cut = data.draw(st.integers(0, len(message) - 1))

    with pytest.raises(ProtocolError, match="batch of log records"):
        decode_batch(message[:cut])


@pytest.mark.parametrize("message", [b"\xc1", b"\x81\xa1a\x01", b"\x91\x80", b"\x93\x01\x02\x03"])
def test_other_bytes_are_refused(message):
    with pytest.raises(ProtocolError):
        decode_batch(message)
