"""Names that are refused, and why."""

from __future__ import annotations

from typing import Any

import pytest

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.manager.nodelook import NodeLook
from pyacq_lab.manager.nodes import NodeHandle
from pyacq_lab.model.names import OF_HANDLES, check_environment, check_name
from pyacq_lab.model.roles import Transform
from pyacq_lab.node.node import Node
from pyacq_lab.node.registry import Registry


@pytest.mark.parametrize("name", ["a", "bench 1", "Größe_2", "x" * 64])
def test_a_good_name_stays_as_it_is(name) -> None:
    assert check_name(name, "node") == name


@pytest.mark.parametrize("name", ["", " a", "a/b", "a:b", "a.b", "a\0", "a\tb", "x" * 65, None, 3])
def test_a_bad_name_is_refused_and_shown(name) -> None:
    with pytest.raises(ConfigurationError, match="wanted printable text"):
        check_name(name, "node")


def test_what_handles_have_for_themselves_is_all_that_is_taken() -> None:
    own = {n for n in {*vars(NodeHandle), *vars(NodeLook), *NodeHandle._own} if not n.startswith("_")}
    assert own - {n for n in dir(Node) if callable(getattr(Node, n))} == OF_HANDLES


def test_a_method_that_could_not_be_called_is_refused() -> None:
    class Caller(Transform):
        """Has a method by the name of one of its handle's."""

        def describe(self, inputs: Any) -> Any:
            return {"out": inputs["in"]}

        def process(self, chunk: Any, name: str) -> Any:
            return chunk.data

        def call(self) -> None: ...

    with pytest.raises(ConfigurationError, match="Caller has a method 'call'"):
        Registry().register(Caller)


def test_an_environment_of_texts_passes() -> None:
    check_environment({"GAIN": "2", "EMPTY": ""})
