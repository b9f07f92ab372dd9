"""What all benchmarks share: how figures are summed up, and where they are written."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "benchmarks"

Row = tuple[str, str, str]
"""Figure, value, goal."""


def summary(seconds: list[float]) -> dict[str, float]:
    """Percentiles in milliseconds."""
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return round(ordered[int(share * (len(ordered) - 1))] * 1e3, 4)

    return {"n": len(ordered), "p50": at(0.5), "p99": at(0.99)}


def median(values: Iterable[float]) -> float:
    """The middle one (of an even number, the upper of both)."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load before": round(os.getloadavg()[0], 2),
    }


def head(title: str, module: str, about: Iterable[str], result: Mapping[str, Any]) -> list[str]:
    """First lines of a page."""
    on = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    first, *more = about
    made = f"Made by `python -m {module}`; do not edit. {first}"
    return [f"# {title}", "", made, *more, "", f"Machine: {on}."]


def goals(rows: Iterable[Row]) -> list[str]:
    """Table of figures and goals."""
    lines = [f"| {name} | {value} | {goal} |" for name, value, goal in rows]
    return ["", "| figure | measured | goal |", "|---|---|---|", *lines]


def percentiles(title: str, took: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Table of several `summary`."""
    lines = [f"| {who} | {v['n']} | {v['p50']} | {v['p99']} |" for who, v in took.items()]
    return ["", f"{title}:", "", "| who | n | p50 | p99 |", "|---|---|---|---|", *lines]


def show(rows: Iterable[Row]) -> None:
    """Print figures."""
    for name, value, goal in rows:
        print(f"{name:55} {value:>14} {goal}")


def write(name: str, result: Mapping[str, Any], page: str) -> None:
    """Write a result and its page to docs/benchmarks."""
    (DOCS / "results").mkdir(parents=True, exist_ok=True)
    (DOCS / "results" / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    (DOCS / f"{name}.md").write_text(page)


@contextmanager
def fresh_home() -> Iterator[Path]:
    """Empty Jupyter folders: a benchmark meets no user's keys."""
    with tempfile.TemporaryDirectory() as home:
        for name in ("DATA", "CONFIG", "RUNTIME"):
            os.environ[f"JUPYTER_{name}_DIR"] = str(Path(home) / name.lower())
        yield Path(home)
