"""A real Prometheus scrapes both sites, and answers what its users ask."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from example_project.driver import Person
from example_project.sites import Site, free_ports, running, two_sites

from ..delivery.processes import Process, soon

pytestmark = [
    pytest.mark.two_process,
    pytest.mark.skipif(not shutil.which("prometheus"), reason="Debian's prometheus is missing"),
]
TOP = Path(__file__).parent.parent.parent
TOKEN = "token-of-prometheus"


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[tuple[Site, Site]]:
    first, second = free_ports()
    ours = {"TELEMETRY": ["prometheus"], "METRICS_TOKEN": TOKEN}
    env = {"EXAMPLE_RECIPROCAL_OAUTH": json.dumps(ours)}
    assistant, music = two_sites(tmp_path, ports=(first, second), env=env)
    with running(assistant, music, prepare=True):
        yield assistant, music


@pytest.fixture
def prometheus(sites: tuple[Site, Site], tmp_path: Path) -> Iterator[str]:
    """Gives the URL of a Prometheus that scrapes both sites each second."""
    port, _other = free_ports()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(TOP / "docs" / "alerts.yml")],
        "scrape_configs": [
            {
                "job_name": "sites",
                "metrics_path": "/metrics/",
                "authorization": {"credentials": TOKEN},
                "static_configs": [
                    {"targets": [site.url.removeprefix("http://")], "labels": {"site": site.name}}
                    for site in sites
                ],
            }
        ],
    }
    file = tmp_path / "prometheus.yml"
    file.write_text(json.dumps(config))  # YAML contains JSON.
    command = [
        "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    process = Process(command, {}, tmp_path / "prometheus.log")
    yield f"http://127.0.0.1:{port}"
    process.kill()


def test_prometheus_answers_after_a_connection(sites: tuple[Site, Site], prometheus: str) -> None:
    assistant, music = sites
    alice = Person("alice")
    for site in sites:
        alice.sign_in(site)
    answered = alice.answer(alice.authorize(alice.connect(assistant)))
    alice.wait_until_two_way(answered.url)
    alice.wait_until_two_way(alice.link_page(music).url)

    def handovers(**labels: str) -> float:
        wanted = ",".join(f'{name}="{value}"' for name, value in labels.items())
        return _value(prometheus, f"sum(reciprocal_oauth_handovers_total{{{wanted}}})")

    for step in "EFG":
        for site, direction in ((assistant, "outgoing"), (music, "incoming")):
            labels = {"site": site.name, "direction": direction, "step": step, "result": "ok"}
            soon(lambda labels=labels: handovers(**labels) == 1)  # type: ignore[misc]
    assert _value(prometheus, "min(reciprocal_oauth_figures_up)") == 1
    assert _value(prometheus, "sum(reciprocal_oauth_deliveries_due)") == 0
    assert _value(prometheus, "sum(reciprocal_oauth_http_request_duration_seconds_count)") >= 3
    rules = _asked(prometheus, "rules")["groups"][0]["rules"]
    soon(lambda: all(rule["health"] != "err" for rule in rules))
    assert len(rules) == (TOP / "docs" / "alerts.yml").read_text().count("- alert:")


def _value(prometheus: str, query: str) -> float:
    try:
        result = _asked(prometheus, "query", query=query)["result"]
    except (requests.ConnectionError, requests.JSONDecodeError):  # It has not started yet.
        return -1
    return float(result[0]["value"][1]) if result else -1


def _asked(prometheus: str, what: str, **parameters: str) -> Any:
    response = requests.get(f"{prometheus}/api/v1/{what}", params=parameters, timeout=10)
    return response.json()["data"]
