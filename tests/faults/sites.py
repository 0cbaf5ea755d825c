"""The two sites of a run: their settings and their command lines."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from example_project.sites import HOST, MANAGE_PY, Site, two_sites

from .databases import SECRET_KEY
from .dispatchers import PAUSE_SECONDS, THREADS, Arrangement

ROOT = MANAGE_PY.parent

HTTP_SECONDS = 1.5
#: All times of a delivery about a hundredth of their defaults, as far as processes that share a few
#: cores can keep them, and room for one more fault than usual.
SHORT = {
    "RETRY_SCHEDULE_SECONDS": (0, 0.1, 0.3, 0.5, 1, 1, 2, 2, 4, 4),
    "REDEMPTION_SCHEDULE_SECONDS": (0, 0.1, 0.3, 0.5, 1, 1, 2, 2, 2, 2, 4, 4),
    "HTTP_CONNECT_TIMEOUT_SECONDS": HTTP_SECONDS,
    "HTTP_TOTAL_TIMEOUT_SECONDS": HTTP_SECONDS,
    "LEASE_SECONDS": 2 * HTTP_SECONDS + 1,
    "CODE_LIFETIME_SECONDS": 8,
    "REDEMPTION_WATCH_SECONDS": 2,
    "MAX_RESENDS": 10,
    "MAX_REISSUES": 10,
    "DISPATCHER_SWEEP_SECONDS": PAUSE_SECONDS,
    "HTTP_ALLOW_LOOPBACK": True,
}
#: What is other where a code is redeemed before the response. An attempt is then two calls that
#: have to go well, and the other site has to answer before this one stops waiting.
SHORT_AND_FIRST = {
    **SHORT,
    "DIALECTS": {"ietf-first": "tests.faults.vendor.VendorDialect"},
    "REDEEM_FIRST_SECONDS": 2.0,
    "HTTP_CONNECT_TIMEOUT_SECONDS": 2 * HTTP_SECONDS,
    "HTTP_TOTAL_TIMEOUT_SECONDS": 2 * HTTP_SECONDS,
    "LEASE_SECONDS": 4 * HTTP_SECONDS + 1,
    "CODE_LIFETIME_SECONDS": 12,
    "RETRY_SCHEDULE_SECONDS": (0, 0.1, 0.3, 0.5, *(1,) * 8, *(2,) * 8),
    "MAX_REISSUES": 30,
}


def make_sites(
    data: Path,
    databases: Mapping[str, str],
    arrangement: Arrangement,
    ports: tuple[int, int],
    proxy_ports: tuple[int, int],
    short: Mapping[str, Any],
) -> tuple[Site, Site]:
    """Both sites, not yet running. Each reaches the other through the proxy only."""
    # All rows are for one peer, so that its share is all there is.
    many = 2 * arrangement.workers * THREADS
    sites = two_sites(
        data,
        ports=ports,
        env={
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "DJANGO_DEBUG": "0",
            "DJANGO_SECRET_KEY": SECRET_KEY,
            "EXAMPLE_LOG_LEVEL": "INFO",
            "EXAMPLE_RECIPROCAL_OAUTH": json.dumps(
                {
                    **short,
                    "DELIVERIES_PER_PEER": many,
                    "DISPATCHER_THREADS": arrangement.threads,
                }
            ),
            "FAULTS_DATABASES": "",
            "RECIPROCAL_DISPATCHER": arrangement.dispatcher,
            "CELERY_BROKER_URL": os.environ.get("TEST_CELERY_BROKER_URL", ""),
        },
    )
    for site, port in zip(sites, proxy_ports, strict=True):
        site.env["DATABASE_URL"] = databases[site.role.slug]
        site.reached_at = f"http://{HOST}:{port}"
    return sites


def access_log(site: Site) -> Path:
    return site.data / f"{site.role.slug}-access.log"


def web_server(site: Site, arrangement: Arrangement) -> list[str]:
    """The command line of the server: forks its workers, and forks others for those that die."""
    options = {
        "--bind": f"{HOST}:{site.port}",
        "--workers": arrangement.web_processes,
        "--worker-class": "gthread",
        "--threads": THREADS,
        "--access-logfile": access_log(site),
        "--access-logformat": "%(m)s %(U)s %(s)s %(L)s",
        "--log-level": "warning",
        "--graceful-timeout": 2,
    }
    flags = [f"{name}={value}" for name, value in options.items()]
    server = [sys.executable, "-m", "gunicorn", "--preload", "--no-control-socket", *flags]
    return [*server, "example_project.wsgi"]
