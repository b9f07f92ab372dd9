"""Which packages a node needs besides ours, as its module and those that it uses ask for them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

_ASKS = "import_optional"


@dataclass(frozen=True)
class Extra:
    """An extra of ours, for what it is needed, and the package that it brings."""

    extra: str
    package: str
    who: str


def extras_of(name: str, module: str) -> list[Extra]:
    """Extras that a node type asks for, or that what it reads asks for; see `import_optional`."""
    found: dict[str, Extra] = {}
    for file in _reached(module):
        for who, package, extra in _asked(file):
            # Modules that several nodes share are told by each who it is: ``{}``.
            if extra and (who in ("{}", name) or name.casefold() in who.casefold().split()):
                found.setdefault(package, Extra(extra, package, "" if who in ("{}", name) else who))
    return sorted(found.values(), key=lambda extra: (extra.extra, extra.package))


def _reached(module: str) -> list[Path]:
    """The module's file, and those of its neighbours that it imports, also inside of functions."""
    folder, todo, reached = module.rpartition(".")[0], [module], list[str]()
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.append(name)
            todo += [n for n in _imports(_file(name)) if n.startswith(f"{folder}.")]
    return [_file(name) for name in reached]


def _file(module: str) -> Path:
    import_module(module)
    return Path(str(sys.modules[module].__file__))


@cache
def _imports(file: Path) -> list[str]:
    return [node.module for node in ast.walk(_tree(file)) if isinstance(node, ast.ImportFrom) and node.module]


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def _asked(file: Path) -> Iterator[tuple[str, str, str]]:
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == _ASKS:
            arguments = [_text(argument) for argument in node.args[1:4]]
            named = {word.arg: _text(word.value) for word in node.keywords}
            who, package, extra, *_ = [*arguments, *([""] * 3)]
            yield who, package, named.get("extra", extra)


def _text(node: ast.expr) -> str:
    """Text of a literal, with ``{}`` for what is only known when it runs."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    return "{}"
