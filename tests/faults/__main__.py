"""``python -m tests.faults``: see the package, and docs/faults.rst."""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from .dispatchers import ARRANGEMENTS
from .run import Options, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--links", type=int, default=300, help="how many people link (300)")
    parser.add_argument("--seed", type=int, default=1, help="what is random follows from it (1)")
    parser.add_argument(
        "--database",
        default="",
        metavar="URL",
        help="of a database on the server on which each site gets one of its own; default: SQLite",
    )
    parser.add_argument("--dispatcher", choices=sorted(ARRANGEMENTS), default="none")
    parser.add_argument(
        "--dialect",
        choices=["ietf", "ietf-first"],
        default="ietf",
        help="of both sites; ietf-first: a code is redeemed before the response (ietf)",
    )
    parser.add_argument("--workers", type=int, default=4, help="workers of each site (4)")
    parser.add_argument("--share", type=float, default=0.3, help="share of faulty calls (0.3)")
    parser.add_argument(
        "--kill-every", type=float, default=20, metavar="SECONDS", help="0: nothing is killed (20)"
    )
    parser.add_argument(
        "--limit", type=float, default=1800, metavar="SECONDS", help="of the whole run (1800)"
    )
    parser.add_argument("--data", type=Path, help="keep logs and calls in this directory")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = vars(parser.parse_args())
    if given["dispatcher"] == "celery" and not os.environ.get("TEST_CELERY_BROKER_URL"):
        parser.error("--dispatcher celery: set TEST_CELERY_BROKER_URL to the broker's URL")
    as_json, data = given.pop("json"), given.pop("data")
    # Whoever stops us wants no process left.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="faults-") as temporary:
        if data:
            data.mkdir(parents=True, exist_ok=True)
        report = run(Options(**given), (data or Path(temporary)).resolve())
    print(report.as_json() if as_json else report.as_text())
    return 0 if report.is_ok else 1


if __name__ == "__main__":
    sys.exit(main())
