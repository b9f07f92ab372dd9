"""Signatures travel as text and are never evaluated."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from pyacq_lab.remote.describe import describe_object, methods_of
from pyacq_lab.remote.objects import parse_signature


class Odd:
    """Odd."""

    level = 3

    def plain(self, a: int, /, b: str = "x", *c: float, d: Any = None, **e: Any) -> None:
        """Do."""

    @staticmethod
    def free(a: int) -> None: ...

    @classmethod
    def made(cls, a: int = 1) -> None: ...

    def default(self, a: Any = object()) -> None: ...  # noqa: B008

    @property
    def hot(self) -> float:
        raise RuntimeError("must not be asked")

    def _hidden(self) -> None: ...


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain", "(a, /, b='x', *c, d=None, **e)"),
        ("free", "(a)"),
        ("made", "(a=1)"),
        ("default", "(*args, **kwargs)"),
    ],
)
def test_a_signature_arrives(name: str, shown: str) -> None:
    info = methods_of(Odd)[name]
    assert str(parse_signature(info.signature)) == shown


def test_describing_runs_nothing_of_the_object() -> None:
    thing = Odd()
    thing.own = 1  # pyright: ignore[reportAttributeAccessIssue]
    info = describe_object(thing)
    assert info.attributes == ("hot", "level", "own")
    assert {m.name for m in info.methods} == {"plain", "free", "made", "default"}


def test_nothing_in_a_signature_is_evaluated() -> None:
    signature = parse_signature("(a=__import__('os').abort())")
    assert repr(signature.parameters["a"].default) == "__import__('os').abort()"
    assert signature.parameters["a"].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
