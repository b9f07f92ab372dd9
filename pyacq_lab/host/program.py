"""The host server as a program."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Sequence

from pyacq_lab.errors import PyacqError
from pyacq_lab.host.server import HostServer
from pyacq_lab.transport.capture import LogCapture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line, also for ``pyacq-lab host``."""
    parser.add_argument("endpoint", help="where to listen: tcp://IP:PORT; port 0 takes a free one")
    parser.add_argument("--name", help="the host's name in logs and panels (the machine's unless given)")
    parser.add_argument("--no-pairing", action="store_true", help="print no one-time pairing token")
    parser.add_argument("--child", action="store_true", help="end when standard input ends")
    parser.add_argument("--verbose", action="store_true", help="say more on standard error")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a host server until SIGTERM or Ctrl-C. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="pyacq-lab host", description="Start and watch acquisition processes on this machine."
    )
    add_arguments(parser)
    return run(parser.parse_args(argv))


def run(arguments: argparse.Namespace) -> int:
    """Run a host server as the command line says."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.NOTSET if arguments.verbose else logging.WARNING)
    logging.basicConfig(handlers=[handler], format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(_serve(arguments))
    except PyacqError as error:
        sys.stderr.write(f"pyacq-lab host: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


async def _serve(arguments: argparse.Namespace) -> None:
    host = HostServer(arguments.endpoint, name=arguments.name, pairing=not arguments.no_pairing)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C arrives as KeyboardInterrupt
            loop.add_signal_handler(number, host.stop)
    capture = LogCapture(host.voice())
    capture.install(logging.INFO)
    capture.watch_loop(loop)
    try:
        await _run(host, arguments)
    finally:
        capture.uninstall()


async def _run(host: HostServer, arguments: argparse.Namespace) -> None:
    await host.start()
    if arguments.child:
        threading.Thread(
            target=_wait_for_end_of_input, args=(host,), name="parent watch", daemon=True
        ).start()
    sys.stdout.write(f'manager.add_host("{host.endpoint_for_others}", key="{host.invitation}")\n')
    sys.stdout.flush()
    await host.serve()


def _wait_for_end_of_input(host: HostServer) -> None:
    while sys.stdin.buffer.read(1):
        continue
    host.stop()
