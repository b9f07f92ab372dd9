"""The pages of docs/nodes are what their command makes; that their examples run is tested as of any page."""

from __future__ import annotations

from typing import Literal

import pytest

from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.node.registry import BUILT_IN
from tests.docs.nodes.cases import CASES
from tests.docs.nodes.docstrings import split_docstring, to_markdown
from tests.docs.nodes.extras import extras_of
from tests.docs.nodes.pages import COMMAND, EXAMPLES, ROOT, all_pages, stale
from tests.docs.nodes.settings import settings_tables


def test_every_node_has_an_example_and_every_example_a_node():
    assert {file.stem for file in EXAMPLES.glob("*.py")} == set(BUILT_IN)


def test_cases_are_of_nodes():
    assert set(CASES) <= set(BUILT_IN)


def test_pages_are_as_the_command_makes_them():
    names = [str(file.relative_to(ROOT)) for file in stale(all_pages())]
    assert not names, f"run {COMMAND}"


def test_a_page_that_was_changed_or_is_of_no_node_is_stale(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.docs.nodes.pages.FOLDER", tmp_path)
    old, right, changed, missing = (tmp_path / f"{n}.md" for n in ("old", "right", "changed", "missing"))
    for file in (old, right, changed):
        file.write_text("as it was")
    assert stale({right: "as it was", changed: "as it is", missing: ""}) == sorted([old, changed, missing])


# --- docstrings


class Documented:
    """It has a summary
    of two lines.

    And ``code``, beside `SosFilter`.

    ======  =================
    name    what it is
    ======  =================
    `a`     one | two, and
            a second line
    ``b``   other
    ======  =================

    Examples
    --------
    >>> left_out
    """


def test_a_docstring_becomes_markdown():
    summary, body = split_docstring(Documented)
    assert summary == "It has a summary of two lines."
    assert to_markdown(body, ["SosFilter"]).splitlines() == [
        "And `code`, beside [`SosFilter`](SosFilter.md).",
        "",
        "| name | what it is |",
        "|---|---|",
        "| `a` | one \\| two, and a second line |",
        "| `b` | other |",
    ]


@pytest.mark.parametrize(
    "text", [".. note:: this", "see :class:`Node`", "such as::\n\n    code", "`link`_ to", "===  ===\na    b"]
)
def test_what_is_not_known_is_refused(text):
    with pytest.raises(ValueError, match=r"no Markdown|rulers"):
        to_markdown(text)


def test_a_docstring_must_be_there_and_have_known_sections():
    with pytest.raises(ValueError, match="has no docstring"):
        split_docstring(type("Silent", (), {}))
    with pytest.raises(ValueError, match="no place for its section 'Warns'"):
        split_docstring(type("Odd", (), {"__doc__": "Odd.\n\nWarns\n-----\nAlways."}))


# --- settings


class Inner(Settings):
    gain: float = setting(1.0, gt=0, description="how much")


class Outer(Settings):
    kind: Literal["a", "b"] = setting("a", description="which | one")
    corner: float | None = setting(None, gt=0, le=1e6, unit="Hz", live=True, description="where")
    pairs: tuple[tuple[int, float], ...] = setting((), description="pairs")
    names: list[str | int] = setting(min_length=1, description="each")
    inner: tuple[Inner, ...] = setting((), description="more")


def test_settings_become_tables():
    (title, outer), (inner_title, inner) = settings_tables(Outer)
    assert (title, inner_title) == ("", "Inner")
    assert outer.splitlines()[2:] == [
        "| `kind` | `'a'` or `'b'` | `'a'` |  |  |  | which \\| one |",
        "| `corner` | float or None | `None` | Hz | > 0, ≤ 1000000 | yes | where |",
        "| `pairs` | list of (int, float) | `()` |  |  |  | pairs |",
        "| `names` | list of (str or int) | must be given |  | length ≥ 1 |  | each |",
        "| `inner` | list of `Inner` | `()` |  |  |  | more |",
    ]
    assert inner.splitlines() == [
        "| setting | type | default | range | meaning |",
        "|---|---|---|---|---|",
        "| `gain` | float | `1.0` | > 0 | how much |",
    ]


def test_a_setting_must_say_what_it_means():
    class Silent(Settings):
        gain: float = 1.0

    with pytest.raises(ValueError, match=r"Silent\.gain has no description"):
        list(settings_tables(Silent))


# --- extras


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("LSLInlet", ["pylsl"]),
        ("VideoSource", ["av"]),
        ("AudioInput", ["miniaudio", "sounddevice"]),
        ("Replay", ["pyedflib", "h5py", "pynwb", "pyxdf"]),
        ("ArraySource", []),
        ("SosFilter", []),
    ],
)
def test_extras_are_found(name, wanted):
    assert [extra.package for extra in extras_of(name, BUILT_IN[name])] == wanted
