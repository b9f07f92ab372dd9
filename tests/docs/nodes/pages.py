"""The pages of docs/nodes, made of the nodes' docstrings and settings and of an example each."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from pyacq_lab.errors import PyacqError
from pyacq_lab.model.roles import Component, Sink, Source, Transform
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.node.group import role_of
from pyacq_lab.node.registry import BUILT_IN
from pyacq_lab.remote.describe import methods_of
from tests.docs.nodes.cases import CASES, SIGNAL, Case
from tests.docs.nodes.docstrings import code, split_docstring, table, to_markdown
from tests.docs.nodes.extras import Extra, extras_of
from tests.docs.nodes.settings import settings_tables

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "nodes"
EXAMPLES = FOLDER / "examples"

COMMAND = "python -m tests.docs.nodes"

ROLES: dict[str, type[Component]] = {"source": Source, "transform": Transform, "sink": Sink}
_TITLES = {"source": "Sources", "transform": "Processing", "sink": "Sinks"}

_AT_GAP = {"reset": "start afresh", "hold": "keep its state"}


def all_pages() -> dict[Path, str]:
    """Text of every page, by its file."""
    pages = {FOLDER / f"{name}.md": page(name) for name in BUILT_IN}
    return {FOLDER / "index.md": index(), **pages}


def page(name: str) -> str:
    """Page of a node type."""
    component = component_of(name)
    summary, body = split_docstring(component)
    others = [other for other in BUILT_IN if other != name]
    module = component.__module__
    parts = [
        f"<!-- Made by `{COMMAND}` of {module} and examples/{name}.py. -->\n# {name}",
        to_markdown(summary, others),
        table(("", ""), _facts(name, component)),
        to_markdown(body, others),
        f"## Example\n\n{example_of(name)}",
        *_settings(component),
        _outputs(name, component),
        _while_it_runs(component, others),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def index() -> str:
    """Page that leads to those of the node types."""
    parts = [f"<!-- Made by `{COMMAND}`. -->\n" + (Path(__file__).parent / "index.md").read_text().strip()]
    for role, title in _TITLES.items():
        rows = [
            (f"[{name}]({name}.md)", to_markdown(split_docstring(component_of(name))[0]), _extra_names(name))
            for name in sorted(BUILT_IN, key=str.casefold)
            if role_of(component_of(name)) == role
        ]
        parts.append(f"## {title}\n\n{table(('node', 'what it is', 'extra'), rows)}")
    return "\n\n".join(parts) + "\n"


@cache
def component_of(name: str) -> type[Any]:
    """Class of a node type."""
    return getattr(import_module(BUILT_IN[name]), name)


def example_of(name: str) -> str:
    """Example of a node type: what its docstring says, and the rest as a block that is run."""
    file = EXAMPLES / f"{name}.py"
    text = file.read_text()
    module = ast.parse(text)
    said, first = ast.get_docstring(module), module.body[0]
    if said is None or first.end_lineno is None:
        raise ValueError(f"{file} has no docstring that says what it shows")
    block = "".join(text.splitlines(keepends=True)[first.end_lineno :]).strip()
    return f"{to_markdown(said, [n for n in BUILT_IN if n != name])}\n\n```python\n{block}\n```"


# --- what stands at the top


def _facts(name: str, component: type[Any]) -> Iterator[tuple[str, str]]:
    yield "role", role_of(component)
    if not issubclass(component, Source):
        yield "inputs", _inputs(component)
    if not issubclass(component, Sink):
        yield "outputs", _output_names(name, component)
    if extras := extras_of(name, BUILT_IN[name]):
        yield "needs", "; ".join(_needs(extras))
    path = Path(inspect.getfile(component)).relative_to(ROOT).as_posix()
    yield "class", f"[{code(f'{component.__module__}.{name}')}](../../{path})"
    if issubclass(component, Transform):
        yield "group delay that it adds", _group_delay(name)
    if issubclass(component, Sink):
        yield "asks for", f"{code(component.policy)} connections, unless they are told otherwise"
    if not issubclass(component, Source):
        yield "what it does at a gap", _at_gap(component)
        if component.finish is not _base(component).finish:
            yield "what it does at the end", _said(component.finish)


def _inputs(component: type[Any]) -> str:
    if component.inputs is None:
        return "any, by the name by which they are connected"
    if issubclass(component, Transform) and component.input_names is not Transform.input_names:
        return "as the settings say"
    return ", ".join(map(code, component.inputs))


def _output_names(name: str, component: type[Any]) -> str:
    if issubclass(component, Transform):
        by_settings = component.output_names is not Transform.output_names
        return "as the settings say" if by_settings else ", ".join(map(code, component.outputs))
    outputs = CASES.get(name, Case()).outputs
    if outputs:
        return ", ".join(map(code, outputs)) + "; what is in them, the device says"
    return ", ".join(map(code, _described(name)))


def _needs(extras: list[Extra]) -> Iterator[str]:
    for is_asked in (False, True):  # always, and where its settings want it
        some = [extra for extra in extras if bool(extra.who) == is_asked]
        if some:
            names = ",".join(dict.fromkeys(extra.extra for extra in some))
            packages = ", ".join(extra.package for extra in some)
            when = ", as far as its settings ask for it" if is_asked else ""
            command = code(f"pip install 'pyacq_lab[{names}]'")
            yield f"{command} on its machine ({packages}){when}"


def _group_delay(name: str) -> str:
    delays = [spec.group_delay for spec in _described(name).values()]
    return f"{max(delays):.4g} s with the settings [below](#what-comes-out)" if any(delays) else "none"


def _extra_names(name: str) -> str:
    return ", ".join(dict.fromkeys(code(extra.extra) for extra in extras_of(name, BUILT_IN[name])))


def _at_gap(component: type[Any]) -> str:
    if component.gap is not _base(component).gap:
        return _said(component.gap)
    return _AT_GAP[component.at_gap]


def _base(component: type[Any]) -> type[Any]:
    return ROLES[role_of(component)]


def _said(method: Any) -> str:
    """First sentence of a docstring, as one in the middle of a line."""
    summary = split_docstring(method)[0].removesuffix(".")
    return to_markdown(summary[0].lower() + summary[1:])


# --- settings, outputs, what else there is


def _settings(component: type[Any]) -> Iterator[str]:
    live = component.settings_type.live_names()
    for title, text in settings_tables(component.settings_type):
        yield f"### {title}\n\n{text}" if title else f"## Settings\n\n{text}"
    if live:
        values = ", ".join(f"{name}=..." for name in live[:2])
        yield f"Live ones may change while it runs: {code(f'node.change({values})')}."


@cache
def _described(name: str) -> Mapping[str, StreamSpec]:
    """Specs of the outputs, with the settings and inputs of its case."""
    case, component = CASES.get(name, Case()), component_of(name)
    try:
        made = component(component.settings_type.checked(**case.settings))
        return made.describe(*_inputs_of(name, made))
    except PyacqError as error:
        raise ValueError(f"{name} needs a case of its own in tests/docs/nodes/cases.py: {error}") from error


def _inputs_of(name: str, made: Any) -> list[dict[str, StreamSpec]]:
    given = CASES.get(name, Case()).inputs
    is_fed = isinstance(made, Transform)
    return [{port: given.get(port, SIGNAL) for port in made.input_names()}] if is_fed else []


def _outputs(name: str, component: type[Any]) -> str:
    case = CASES.get(name, Case())
    if issubclass(component, Sink) or case.outputs:
        return ""
    settings = ", ".join(f"{key}={value!r}" for key, value in case.settings.items())
    how = f"With {code(settings)}" if settings else "By default"
    for inputs in _inputs_of(name, component(component.settings_type.checked(**case.settings))):
        how += f", of {' and '.join(dict.fromkeys(map(_in_words, inputs.values())))}"
    rows = [
        (code(port), _kind(spec), f"{spec.sample_rate:g}", spec.units, f"{spec.group_delay:.4g}")
        for port, spec in _described(name).items()
    ]
    head = ("output", "samples", "rate (Hz)", "units", "group delay (s)")
    return f"## What comes out\n\n{how}:\n\n{table(head, rows)}"


def _in_words(spec: StreamSpec) -> str:
    if spec.streamtype == "event":
        return "events"
    channels = f"{spec.n_channels} channel{'s' if spec.n_channels > 1 else ''} of {spec.np_dtype}"
    return f"{channels}{f' in {spec.units}' if spec.units else ''} at {spec.sample_rate:g} Hz"


def _kind(spec: StreamSpec) -> str:
    return "event" if spec.streamtype == "event" else f"{spec.streamtype}, {spec.np_dtype}"


def _while_it_runs(component: type[Any], links: list[str]) -> str:
    known = {name for base in ROLES.values() for name in dir(base)}
    rows = [
        (
            code(method.name + _parameters(component, method.name)),
            _first(getattr(component, method.name), links),
        )
        for method in methods_of(component).values()
        if method.name not in known and not _is_inner(component, method.name)
    ]
    for attribute, value in inspect.getmembers(component, lambda member: isinstance(member, property)):
        if attribute not in known and not attribute.startswith("_"):
            rows.append((code(attribute), _first(value, links)))
    if not rows:
        return ""
    return f"## What else it offers\n\nAs methods and attributes of the node:\n\n{table(('', ''), rows)}"


def _parameters(component: type[Any], name: str) -> str:
    parameters = list(inspect.signature(getattr(component, name)).parameters.values())[1:]
    return str(inspect.Signature([p.replace(annotation=p.empty) for p in parameters]))


def _is_inner(component: type[Any], name: str) -> bool:
    return isinstance(inspect.getattr_static(component, name), staticmethod | classmethod)


def _first(thing: object, links: list[str]) -> str:
    return to_markdown(split_docstring(thing)[0], links)


def stale(pages: Mapping[Path, str]) -> list[Path]:
    """Files that are not as they would be made now, or would not be made."""
    there = {FOLDER / file.name for file in FOLDER.glob("*.md")}
    return sorted(
        {file for file, text in pages.items() if not file.exists() or file.read_text() != text}
        | (there - set(pages))
    )
