"""`python -m demo`: start everything, backfill six hours, show the result of each destination, stay up until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence

from demo import lively, report
from demo.airflow_api import UI_USER
from demo.backfill import destinations
from demo.settings import DemoError, Settings
from demo.story import Demo

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit code: 0 if all went well, 1 if not, 130 if stopped before its end."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop everything after the table, then print JSON")
    parser.add_argument("--stop", action="store_true", help="only end the processes that a killed demo has left")
    parser.add_argument(
        "--status", action="store_true", help="only show the state of each destination of a running demo"
    )
    options = parser.parse_args(arguments)
    for number in STOP_SIGNALS:
        signal.signal(number, _interrupt)
    try:
        settings = Settings.from_environment(os.environ)
        # Where nobody looks at the page nothing is made wrong on purpose.
        lively_too = {} if options.once else {"ORDER_SYNC_CONFIG": str(lively.configuration(settings.local))}
        demo = Demo(settings, lively_too)
        if options.status:
            return demo.show_status()
        demo.lock()
        if options.stop:
            demo.stop()
            return 0
        return _run(demo, once=options.once)
    except DemoError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped before its end", file=sys.stderr)
        return 130


def _run(demo: Demo, *, once: bool) -> int:
    """Run the demo from start to end; all its processes have ended on return."""
    started = time.monotonic()
    try:
        demo.start()
        demo.backfill(destinations())
        figures = {name: demo.figures(name) for name in destinations()}
        report.check_balance(figures)
        print(f"\n{report.as_table(figures)}\n")
        seconds = time.monotonic() - started
        if not once:
            print(lively.hold_a_batch(demo))
            print(f"The page Order Sync: {demo.url}/plugin/order-sync  user {UI_USER}, password {demo.password}")
            print(f"Airflow: {demo.url}\nCtrl-C stops everything")
            _stay_up(demo)
    finally:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # stopping takes limited time, and must complete
        print("Stopping")
        demo.stop()
    if once:
        print(report.as_json(figures, seconds))
    return 0


def _stay_up(demo: Demo) -> None:
    try:
        while True:
            demo.check()
            time.sleep(1)
    except KeyboardInterrupt:
        print()


def _interrupt(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


if __name__ == "__main__":
    sys.exit(main())
