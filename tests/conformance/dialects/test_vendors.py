"""The vendor dialects of this package: the site is party B, and the tester is each vendor."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from example_project.servers import running

from ..configs import WHOLE_RUNS
from .running import known
from .vendor_site import VENDORS, Vendor, VendorSite, report

pytestmark = pytest.mark.two_process

#: What must find the mistakes in ``faulty_dialects``.
FOUND = {
    "alexa_directive": ("B-RETRY-2", "B-ANS-2"),
    "alexa_form": ("B-RETRY-2", "B-ANS-2", "B-AUTH-7"),
    "smartthings": ("B-RETRY-2", "B-TARGET-1", "B-AUTH-7"),
    "google": ("B-RETRY-2", "B-TOK-2", "B-AUTH-2"),
}


#: What is run if not all checks are.
SOME = ("B-OK", "B-AUTH", "B-TOK")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VendorSite]:
    site = VendorSite(tmp_path_factory.mktemp("site"))
    with running(site.music, prepare=True):
        yield site


@pytest.mark.parametrize("vendor", VENDORS, ids=str)
def test_the_dialect_of_a_vendor_has_the_expected_verdicts(
    vendor: Vendor, site: VendorSite, tmp_path: Path
) -> None:
    found = report(site, vendor, tmp_path, *(() if WHOLE_RUNS else SOME))

    expected = {name: each for name, each in known(vendor.name).items() if name in found.verdicts}
    assert found.not_passed() == expected, found.printed
    assert found.exit_status == 0, found.printed
    for check, verdict in found.verdicts.items():
        assert verdict != "not tested" or found.observed[check].startswith(("It needs", "It waits"))


@pytest.fixture(scope="module")
def faulty_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VendorSite]:
    site = VendorSite(tmp_path_factory.mktemp("faulty"), "faulty_dialects")
    with running(site.music, prepare=True):
        yield site


@pytest.mark.parametrize("vendor", VENDORS, ids=str)
def test_mistakes_in_the_dialect_of_a_vendor_are_found(
    vendor: Vendor, faulty_site: VendorSite, tmp_path: Path
) -> None:
    checks = FOUND[vendor.name]

    found = report(faulty_site, vendor, tmp_path, "B-OK-1", "B-OK-2", *checks)

    assert found.missed(checks) == {}, found.printed
    assert found.missed(["B-OK-1", "B-OK-2"]) == {"B-OK-1": "pass", "B-OK-2": "pass"}
