"""Every block of Python in the documentation runs, in order, page by page, against real processes.

The machine that the pages call ``10.0.0.53`` is a host server that the test starts, and ``key="..."`` is
the key that it printed. ``<!-- test: skip because ... -->`` before a block says why it cannot be run here.
What lines of a block that begin with ``# >`` say is all that it prints.
"""

import io
import re
from contextlib import redirect_stdout

import ipywidgets
import pytest

from pyacq_lab import PyacqError, current_manager

ENDPOINT, KEY = "tcp://10.0.0.53:8000", 'key="..."'

_BLOCK = re.compile(
    r"^(?P<skip><!-- test: skip because .+? -->\n+)?```python\n(?P<code>.*?)^```$", re.S | re.M
)

_PRINTED = re.compile(r"^ *# > ?(.*)$", re.M)


def blocks(page):
    """Blocks of Python of a page that can be run, each with its lines numbered as in the page."""
    text = page.read_text()
    for match in _BLOCK.finditer(text):
        if match["skip"] is None:
            yield "\n" * text.count("\n", 0, match.start("code")) + match["code"]


def run_block(code, page, namespace):
    """Run a block; where it says what it prints, hold it to that."""
    wanted = _PRINTED.findall(code)
    compiled = compile(code, str(page), "exec")
    if not wanted:
        exec(compiled, namespace)
        return
    with redirect_stdout(io.StringIO()) as printed:
        exec(compiled, namespace)
    assert printed.getvalue().splitlines() == wanted


def run_page(page, program=None, replace=lambda code: code):
    namespace = {"__name__": "__main__"}  # as in a notebook: classes that are defined there are sent by value
    try:
        for code in blocks(page):
            if program is not None:
                code = code.replace(ENDPOINT, program.endpoint).replace(KEY, f'key="{program.key}"')
            run_block(replace(code), page, namespace)
    finally:
        ipywidgets.Widget.close_all()
        try:
            current_manager().close()
        except PyacqError:
            pass  # the page has closed it, as a good page does


def test_python_of_page(page_with_python, request, jupyter_home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = page_with_python.read_text()
    if "pylsl" in text:
        request.getfixturevalue("lsl_loopback")
    run_page(page_with_python, request.getfixturevalue("host_program") if ENDPOINT in text else None)


def test_the_page_on_distributed_nodes_holds_for_a_manager_in_a_process_of_its_own(
    root, host_program, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    rpc = 'create_manager(mode="rpc")'
    run_page(
        root / "docs" / "managing_distributed_nodes.md",
        host_program,
        lambda code: code.replace("create_manager()", rpc).replace('create_manager(mode="local")', rpc),
    )


@pytest.mark.parametrize("name", ["README.md", "docs/managing_distributed_nodes.md"])
def test_python_is_found(root, name):
    assert list(blocks(root / name))


def test_a_block_prints_what_it_says(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nfor i in range(2):\n    print(i)\n    # > 0\n    # > 1\n```\n")
    run_page(page)
    page.write_text("```python\nprint('a')\n# > b\n```\n")
    with pytest.raises(AssertionError):
        run_page(page)


def test_a_block_is_skipped_only_for_a_reason(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```python\na = 1\n```\n\n<!-- test: skip because it is loud -->\n```python\nb = 2\n```\n"
    )
    assert [code.strip() for code in blocks(page)] == ["a = 1"]
