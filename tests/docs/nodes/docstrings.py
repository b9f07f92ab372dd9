"""From docstrings, in numpydoc's form of reStructuredText, to Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterable

# What else a docstring has is said by the page's own tables and example.
_SECTION = re.compile(r"^(?P<name>[A-Z][A-Za-z ]+)\n-{3,}$", re.MULTILINE)
_LEFT_OUT = {"Attributes", "Examples", "Parameters", "Raises", "Returns", "See Also"}
_RULER = re.compile(r"={2,}( +={2,})*")
_UNKNOWN = re.compile(r"^\.\. |(?<!`):[a-z]+:`|::$|`_\b", re.MULTILINE)


def split_docstring(thing: object) -> tuple[str, str]:
    """Summary of a docstring in one line, and the text after it, in reStructuredText.

    Raises
    ------
    ValueError
        There is no docstring, or it has a section that pages have no place for.
    """
    text = inspect.getdoc(thing)
    if not text:
        raise ValueError(f"{thing!r} has no docstring")
    sections = list(_SECTION.finditer(text))
    if strange := sorted({match["name"] for match in sections} - _LEFT_OUT):
        raise ValueError(f"docstring of {thing!r}: pages have no place for its section {strange[0]!r}")
    text = text[: sections[0].start()] if sections else text
    summary, _, body = text.strip().partition("\n\n")
    return " ".join(summary.split()), body.strip()


def to_markdown(text: str, links: Collection[str] = ()) -> str:
    """Make Markdown of the reStructuredText that our docstrings use: paragraphs, lists, code, simple tables.

    Parameters
    ----------
    text : str
        Without numpydoc's sections.
    links : collection of str
        Names that have a page beside this one.

    Raises
    ------
    ValueError
        There is something else in it, such as a directive or a role.
    """
    if match := _UNKNOWN.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise ValueError(f"line {line}: {text.splitlines()[line - 1]!r} is no Markdown and stays none")
    return _linked("\n".join(_with_tables(text.splitlines())).replace("``", "`"), links)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Table in Markdown."""
    head = list(head)
    lines = [_row(head), "|" + "---|" * len(head), *map(_row, rows)]
    return "\n".join(lines)


def code(value: object) -> str:
    """Show text as code, in or outside of a table."""
    return f"`{value}`"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _linked(text: str, links: Collection[str]) -> str:
    names = "|".join(map(re.escape, links))
    return re.sub(rf"`({names})`", r"[`\1`](\1.md)", text) if names else text


def _with_tables(lines: list[str]) -> list[str]:
    out: list[str] = []
    rulers = [i for i, line in enumerate(lines) if _RULER.fullmatch(line)]
    if len(rulers) % 3:
        raise ValueError(f"a table has three rulers; here are {len(rulers)}")
    done = 0
    for first, second, third in zip(rulers[::3], rulers[1::3], rulers[2::3], strict=True):
        columns = [match.start() for match in re.finditer("=+", lines[first])]
        head, *rest = (_cells(lines[i], columns) for i in range(first + 1, second))
        if rest:
            raise ValueError(f"the head of a table has one line: {lines[first + 1 : second]}")
        rows: list[list[str]] = []
        for line in lines[second + 1 : third]:
            cells = _cells(line, columns)
            if cells[0]:
                rows.append(cells)
            else:  # the row before goes on
                rows[-1] = [" ".join(filter(None, pair)) for pair in zip(rows[-1], cells, strict=True)]
        out += [*lines[done:first], *table(head, rows).splitlines()]
        done = third + 1
    return out + lines[done:]


def _cells(line: str, columns: list[int]) -> list[str]:
    return [line[a:b].strip() for a, b in zip(columns, [*columns[1:], None], strict=True)]
