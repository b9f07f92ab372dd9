"""Objects live as long as a client counts on them."""

from __future__ import annotations

import pytest

from pyacq_lab.errors import UnknownName
from pyacq_lab.remote.exports import Exports


@pytest.fixture
def exports() -> Exports:
    return Exports("bench/daq")


def test_an_object_goes_with_its_last_reference(exports) -> None:
    thing = object()
    first, second = exports.reference(thing, b"a"), exports.reference(thing, b"a")
    assert first == second
    assert exports.find(first.target) is thing
    exports.release(first.target, b"a", 1)
    assert exports.find(first.target) is thing
    exports.release(first.target, b"a", 1)
    with pytest.raises(UnknownName, match="the last handle of it was dropped"):
        exports.find(first.target)
    assert not len(exports)
    exports.release(first.target, b"a", 1)


def test_each_client_counts_for_itself(exports) -> None:
    target = exports.reference([], b"a").target
    exports.hold(target, b"b")
    assert exports.clients() == {b"a", b"b"}
    exports.forget_client(b"a")
    assert exports.find(target) == []
    exports.release(target, b"b", 1)
    assert not len(exports)


def test_what_was_let_go_of_cannot_be_held(exports) -> None:
    with pytest.raises(UnknownName):
        exports.hold("object:7", b"a")


def test_a_new_object_at_an_old_address_has_a_new_name(exports) -> None:
    names = set()
    for _ in range(20):
        target = exports.reference([], b"a").target
        names.add(target)
        exports.release(target, b"a", 1)
    assert len(names) == 20
