import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.errors import ProtocolError
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.wire.logcodec import decode_batch, encode_batch

records = st.builds(LogRecord, time_ns=st.integers(0, 2**62), message=st.text(), level=st.integers(0, 50))


@given(st.lists(records))
def test_a_batch_comes_back_as_it_went(batch):
    assert decode_batch(encode_batch(batch)) == batch


@given(st.lists(records, min_size=1), st.data())
def test_a_batch_that_lost_its_end_is_refused(batch, data):
    message = encode_batch(batch)
    cut = data.draw(st.integers(0, len(message) - 1))

    with pytest.raises(ProtocolError, match="batch of log records"):
        decode_batch(message[:cut])


@pytest.mark.parametrize("message", [b"\xc1", b"\x81\xa1a\x01", b"\x91\x80", b"\x93\x01\x02\x03"])
def test_other_bytes_are_refused(message):
    with pytest.raises(ProtocolError):
        decode_batch(message)
