"""Runs the tester against parties that speak a dialect, and says what is not as it must be.

``python -m tests.conformance.dialects [NAME…]``

A name is that of a dialect of a vendor (``smartthings``), ``alexa_sample``, or a fault of the
sample (``query``, ``redeems-again+redeems-inside``). Without a name, all run.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from example_project.servers import running

from . import alexa_sample, vendor_site
from .running import Report, known


def main(names: Sequence[str]) -> int:
    """Run what is named. Return 1 if something is not as it must be, 2 for an unknown name."""
    vendors = [each for each in vendor_site.VENDORS if not names or each.name in names]
    faults = [each for each in alexa_sample.FAULTS if not names or str(each) in names]
    is_sample = not names or "alexa_sample" in names
    chosen = [*map(str, vendors), *map(str, faults), *(["alexa_sample"] if is_sample else [])]
    if unknown := set(names) - set(chosen):
        print(f"Unknown: {', '.join(sorted(unknown))}.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        are_right = _run_vendors(vendors, folder) if vendors else []
        if is_sample:
            began = time.monotonic()
            found = alexa_sample.report(_new(folder, "alexa_sample"))
            are_right.append(_tell("alexa_sample", found, began))
        are_right += [_run_fault(fault, _new(folder, str(fault))) for fault in faults]
    return 0 if all(are_right) else 1


def _run_vendors(vendors: Sequence[vendor_site.Vendor], folder: Path) -> list[bool]:
    site = vendor_site.VendorSite(_new(folder, "site"))
    are_right = []
    with running(site.music, prepare=True):
        for vendor in vendors:
            began = time.monotonic()
            found = vendor_site.report(site, vendor, _new(folder, vendor.name))
            are_right.append(_tell(vendor.name, found, began))
    return are_right


def _run_fault(fault: alexa_sample.Fault, folder: Path) -> bool:
    began = time.monotonic()
    missed = alexa_sample.report(folder, fault.switches, fault.checks).missed(fault.checks)
    said = ", ".join(f"{check} is {verdict}" for check, verdict in missed.items())
    said = f"NOT AS IT MUST BE: {said}" if missed else f"found by {', '.join(fault.checks)}"
    print(f"{str(fault):32}  {time.monotonic() - began:4.0f} s  {said}", flush=True)
    return not missed


def _tell(name: str, found: Report, began: float) -> bool:
    print(f"{name:32}  {time.monotonic() - began:4.0f} s  {found.counts()}", flush=True)
    expected, not_passed = known(name), found.not_passed()
    for check in sorted({*expected, *not_passed}):
        before, now = expected.get(check, "pass"), not_passed.get(check, "pass")
        if before != now:
            print(f"  NOT AS IT MUST BE: {check} is {now}, not {before}: {found.observed[check]}")
    return expected == not_passed


def _new(folder: Path, name: str) -> Path:
    path = folder / name
    path.mkdir()
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
