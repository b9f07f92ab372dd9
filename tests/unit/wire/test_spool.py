import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.errors import ConfigurationError, ProtocolError
from pyacq_lab.wire import spool
from pyacq_lab.wire.logcodec import Words, encode_words
from pyacq_lab.wire.spool import SpoolContent, SpoolWriter

SEGMENT = 1000


def words(text, stream="log", thread="pump"):
    return Words(0, 0, thread, "", stream, "", 20, text, "", {})


def make(n_segments=4):
    memory = bytearray(spool._DATA + n_segments * SEGMENT)
    return memory, SpoolWriter(memoryview(memory), n_segments, SEGMENT)


def read(memory):
    return SpoolContent(lambda begin, size: bytes(memory[begin : begin + size]))


def texts(content, seq=0):
    return [w.message for _, run in content.after(seq) for w in spool._decode(run)]


@given(st.lists(st.integers(0, 400), max_size=200), st.integers(0, 250))
def test_the_newest_records_are_kept_with_their_numbers(sizes, since):
    memory, writer = make()
    data = [encode_words(words("x" * size)) for size in sizes]
    for seq, record in enumerate(data):
        writer.write(seq, record)
    content = read(memory)
    found = [(first + i, bytes(raw)) for first, run in content.after(since) for i, raw in enumerate(run)]

    assert content.stop == len(data)
    assert found == [(seq, data[seq]) for seq in range(len(data))][-len(found) or len(data) :]
    kept = [(seq, data[seq]) for first, run in content.after(0) for seq in range(first, first + len(run))]
    assert sum(len(d) for _, d in kept) > 2 * (SEGMENT - 500) or len(kept) == len(data)


@given(st.integers(1, 60), st.data())
def test_a_writer_that_is_killed_between_two_stores_leaves_whole_records(n, data):
    memory, writer = make(2)
    states = [bytes(memory)]
    for seq in range(n):
        writer.write(seq, encode_words(words(f"record {seq}")))
        states.append(bytes(memory))
    before, after = data.draw(st.integers(0, n - 1)), 0
    after = before + 1
    # The bytes of the next record are there in part, its segment's state is not.
    torn = bytearray(states[before])
    cut = data.draw(st.integers(spool._DATA, len(torn)))
    torn[spool._DATA : cut] = states[after][spool._DATA : cut]
    content = read(torn)
    said = texts(content)

    assert said == [f"record {i}" for i in range(before - len(said), before)] or content.stop == before


def test_a_record_that_fits_nowhere_leaves_a_hole():
    memory, writer = make()
    for seq, size in enumerate((10, 2000, 20)):
        writer.write(seq, encode_words(words("x" * size)))

    assert [(first, len(run)) for first, run in read(memory).after(0)] == [(0, 1), (2, 1)]


def test_an_unfinished_line_is_kept_until_it_is_finished():
    memory, writer = make()
    writer.write(0, encode_words(words("before", "stdout")))
    half = [encode_words(w) for w in (words("half a", "stdout"), words("other", "stdout", "main"))]
    writer.write_unfinished(1, half)
    assert texts(read(memory)) == ["before", "half a", "other"]
    writer.write(1, encode_words(words("half a line", "stdout")))
    content = read(memory)

    assert texts(content) == ["before", "half a line", "other"]
    assert content.stop == 3
    writer.write_unfinished(2, [encode_words(words("too long" * 10_000, "stdout")), half[1]])
    assert texts(read(memory)) == texts(content)
    writer.write_unfinished(2, [])
    assert texts(read(memory)) == ["before", "half a line"]


def test_what_is_no_spool_is_refused():
    memory, writer = make()
    writer.write(0, encode_words(words("x")))
    memory[spool._DATA + SEGMENT] = 0xC1  # where the first record begins
    with pytest.raises(ProtocolError, match="damaged"):
        read(memory)
    memory[0] ^= 1
    with pytest.raises(ProtocolError, match="version"):
        read(memory)
    with pytest.raises(ProtocolError, match="3 bytes"):
        read(bytearray(3))
    assert read(bytearray(10_000)).stop == 0
    with pytest.raises(ConfigurationError, match="fit"):
        SpoolWriter(memoryview(bytearray(8192)))


@given(st.lists(st.integers(0, 400), max_size=150), st.data())
def test_what_was_not_heard_is_read_in_order_or_counted(sizes, data):
    _, writer = make()
    sent, heard, read, seq, lost_before = [], 0, 0, 0, 0
    passed = 0  # lost records, always the oldest, before others that were heard
    for size in sizes:
        words_of = encode_words(words("x" * size))
        writer.write(seq, words_of)
        sent.append(words_of)
        seq += 1
        match data.draw(st.sampled_from(["nothing", "nothing", "read", "hear", "release"])):
            case "read" if run := writer.read(read):
                assert run.data == b"".join(sent[run.first : run.stop])
                assert heard <= run.first <= run.stop <= seq
                read, lost_before = run.stop, writer.lost
            case "hear":
                # What was read and then made room counts as lost, whoever has it: it is not heard here.
                if read > heard and writer.lost == lost_before:
                    before, heard = heard, data.draw(st.integers(heard, read))
                    passed += min(heard - before, writer.lost - passed)
                writer.hear(heard)
            case "release" if heard < read and writer.lost == lost_before:
                writer.release(read)
                passed += min(read - heard, writer.lost - passed)
                heard = read
            case _:
                pass
    rest, at = [], heard
    while run := writer.read(at):
        rest.append(run)
        at = run.stop
    n_rest = sum(run.stop - max(heard, run.first) for run in rest)
    assert at == seq or not rest
    assert n_rest + writer.lost + heard - passed == seq
    assert writer.held >= n_rest


def test_a_host_sees_what_was_heard():
    memory, writer = make()
    for seq in range(3):
        writer.write(seq, encode_words(words(f"record {seq}")))
    assert writer.held == 3
    run = writer.read(0)
    assert (run.first, run.stop) == (0, 3)
    writer.hear(2)
    assert read(memory).heard == 2
    writer.hear(1)  # said again, or by one that comes late
    assert read(memory).heard == 2
    writer.hear(3)
    assert writer.held == 0
    assert writer.read(0) is None
    assert texts(read(memory)) == [f"record {i}" for i in range(3)]  # for a manager that asks for all
    assert 0 <= writer.fullness < 0.01


def test_blocks_are_of_the_size_that_is_sent():
    memory = bytearray(spool.SIZE)
    writer = SpoolWriter(memoryview(memory))
    for seq in range(10_000):
        writer.write(seq, encode_words(words("x" * 80)))
    at, runs = 0, []
    while run := writer.read(at):
        runs.append(run)
        at = run.stop
    assert at == 10_000
    assert all(len(run.data) <= spool.BLOCK for run in runs)
    assert all(len(run.data) > spool.BLOCK - 200 for run in runs[:-1] if run.first)
    writer.write(10_000, encode_words(words("x" * 2 * spool.BLOCK)))
    writer.write(10_001, encode_words(words("x")))
    assert [(r.first, r.stop) for r in (writer.read(10_000), writer.read(10_001))] == [
        (10_000, 10_001),
        (10_001, 10_002),
    ]
