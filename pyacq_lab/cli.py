"""The ``pyacq-lab`` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pyacq_lab._version import __version__
from pyacq_lab.errors import PyacqError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="pyacq-lab", description="One notebook for the instruments of all machines of a lab."
    )
    parser.add_argument("--version", action="version", version=f"pyacq_lab {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    demo = commands.add_parser("demo", help="open the quickstart notebook, or run it without a browser")
    demo.add_argument("--headless", action="store_true", help="run it and leave a web page and a picture")
    demo.add_argument("--out", type=Path, default=Path("demo-output"), help="folder for what it makes")
    demo.add_argument("--no-browser", action="store_true", help="start JupyterLab without opening a browser")

    from pyacq_lab.host.program import add_arguments

    host = commands.add_parser("host", help="let managers start acquisition processes on this machine")
    add_arguments(host)

    console = commands.add_parser("console", help="attach a terminal to the kernel of a nodegroup")
    console.add_argument("file", type=Path, help="what kernel_connection_file() of the nodegroup gave")
    console.add_argument("options", nargs=argparse.REMAINDER, help="options of jupyter console")

    from pyacq_lab.recording import program

    program.add_commands(commands.add_parser("runs", help="recorded runs: list, describe, export"))

    arguments = parser.parse_args(argv)
    try:
        return _run(arguments)
    except (PyacqError, OSError) as error:
        sys.stderr.write(f"pyacq-lab {arguments.command}: {error}\n")
        return 1


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "host":
        from pyacq_lab.host.program import run

        return run(arguments)
    if arguments.command == "console":
        from pyacq_lab.kernel.console import run_console

        run_console(arguments.file, arguments.options)
        return 0
    if arguments.command == "runs":
        from pyacq_lab.recording import program

        return program.run(arguments)
    from pyacq_lab import demo

    if arguments.headless:
        made = demo.run_headless(arguments.out)
        for path in made:
            print(f"wrote {path}")
        return 0
    return demo.open_lab(arguments.out, browser=not arguments.no_browser)
