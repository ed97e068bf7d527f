"""Start the sandbox: ``python -m sandbox --port 8900``."""

import argparse
import contextlib
import errno
import socket
import sys
from collections.abc import Sequence

import uvicorn

from sandbox.app import create_app
from sandbox.registry import DEFAULT_CREDENTIALS, SERVICES, new_services

# A slow answer in progress must not keep a stopped sandbox alive for long.
SHUTDOWN_WAIT_S = 2
BACKLOG = 2048


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped; return the exit code, which is 1 if the address is not available."""
    options = _parser().parse_args(arguments)
    credentials = {name: getattr(options, name) for name in DEFAULT_CREDENTIALS}
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        listener = socket.create_server((options.host, options.port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        print(_explain(error, options.host, options.port), file=sys.stderr)
        return 1
    config = uvicorn.Config(
        create_app(new_services(credentials), strict=options.strict),
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=SHUTDOWN_WAIT_S,
    )
    shown_host = f"[{options.host}]" if ":" in options.host else options.host
    print(f"sandbox: listening on http://{shown_host}:{listener.getsockname()[1]}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description=f"A server that behaves as these services: {', '.join(SERVICES)}.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=8900, help="port to listen on; 0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument(
        "--strict", action="store_true", help="refuse also what looks wrong and is refused by no document"
    )
    for name, default in DEFAULT_CREDENTIALS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", default=default, help=f"the only {name} that is accepted")
    return parser


def _explain(error: Exception, host: str, port: int) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"sandbox: port {port} on {host} is taken; give another one with --port"
    return f"sandbox: can't listen on {host} port {port}: {error}"


if __name__ == "__main__":
    sys.exit(main())
