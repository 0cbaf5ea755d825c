"""Metrics: what is counted, who may read it, and what several processes tell together."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from django.db import OperationalError, connection
from django.test import Client
from django.urls import path
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from reciprocal_oauth import get_session
from reciprocal_oauth.contrib.prometheus import METRICS, PrometheusListener, metrics_view
from reciprocal_oauth.core import telemetry
from reciprocal_oauth.delivery import pausing, worker
from reciprocal_oauth.models import Link, Peer, Reason
from reciprocal_oauth.party_a import consent

from ..conftest import PEER_SECRET, basic, post_form
from ..fakes import FakePeer, Received, Reply, token_response

urlpatterns = [path("metrics/", metrics_view)]
TOP = Path(__file__).parent.parent.parent
ALERTS = TOP / "docs" / "alerts.yml"
TOKEN = "token-of-prometheus"


@pytest.fixture
def counted() -> Any:
    """Gives how much a metric with these labels has grown since the test began."""
    begun: dict[str, float] = {}

    def values() -> dict[str, float]:
        return {
            f"{sample.name}{sorted(sample.labels.items())}": sample.value
            for family in REGISTRY.collect()
            for sample in family.samples
        }

    def grown(name: str, **labels: str) -> float:
        key = f"reciprocal_oauth_{name}{sorted(labels.items())}"
        return values().get(key, 0.0) - begun.get(key, 0.0)

    begun = values()
    with telemetry.listening(PrometheusListener()):
        yield grown


@pytest.mark.django_db(transaction=True)
def test_a_hand_over_from_consent_to_redemption(
    link_as_a: Link, peer: Peer, fake_peer: FakePeer, counted: Callable[..., float]
) -> None:
    def redeem(received: Received) -> Reply:
        form = {"grant_type": "authorization_code", "code": received.form["code"]}
        post_form(Client(), form, basic(peer.application.client_id, PEER_SECRET))
        return Reply()

    fake_peer.answers["/token/"] = redeem
    consent.allow(link_as_a, ["playback"])
    worker.drain()

    outgoing = {"peer": "music", "direction": "outgoing", "result": "ok"}
    for step in "EFG":
        assert counted("handovers_total", step=step, **outgoing) == 1
    assert counted("delivery_age_seconds_count", peer="music", kind="handover") == 1
    asked = {"peer": "music", "purpose": "handover", "outcome": "2xx"}
    assert counted("http_request_duration_seconds_count", **asked) == 1
    linked = {"peer": "music", "result": "linked", "reason": ""}
    assert counted("connections_total", **linked) == 1


@pytest.mark.django_db(transaction=True)
def test_a_hand_over_of_a_peer_and_its_refusals(
    hand_over: Callable[..., Any],
    application: Any,
    fake_peer: FakePeer,
    token_of_a: Any,
    counted: Callable[..., float],
) -> None:
    hand_over(access_token=token_of_a.raw)
    hand_over(access_token="no-such-token")
    hand_over(headers=basic(application.client_id, "wrong"))
    worker.drain()

    incoming = {"peer": "music", "direction": "incoming", "result": "ok"}
    for step in "EFG":
        assert counted("handovers_total", step=step, **incoming) == 1
    attempts = {"peer": "music", "kind": "redemption", "result": "done"}
    assert counted("delivery_attempts_total", **attempts) == 1
    assert counted("delivery_age_seconds_count", peer="music", kind="redemption") == 1
    assert counted("handover_refusals_total", peer="music", cause="token_unknown") == 1
    assert counted("client_authentication_failures_total", reason="secret") == 1


@pytest.mark.django_db(transaction=True)
def test_what_fails(link_as_a: Link, fake_peer: FakePeer, counted: Callable[..., float]) -> None:
    fake_peer.answers["/token/"] = Reply(400, b'{"error": "unsupported_grant_type"}')
    consent.allow(link_as_a, ["playback"])
    worker.drain()

    failed = {"peer": "music", "direction": "outgoing", "step": "E", "result": "failed"}
    assert counted("handovers_total", **failed) == 1
    why = {"peer": "music", "kind": "handover", "reason": "no_reverse"}
    assert counted("delivery_failures_total", **why) == 1


@pytest.mark.django_db(transaction=True)
def test_calls_of_the_site_itself_and_refreshes(
    link_as_a: Link, fake_peer: FakePeer, counted: Callable[..., float]
) -> None:
    fake_peer.answers["/token/"] = token_response()
    fake_peer.answers["/api/"] = [Reply(401), Reply()]

    get_session(link_as_a).get(f"{fake_peer.url}/api/")

    assert counted("token_refreshes_total", peer="music", result="done") == 1
    measured = {"peer": "music", "purpose": "api"}
    for outcome in ("4xx", "2xx"):
        assert counted("http_request_duration_seconds_count", outcome=outcome, **measured) == 1


@pytest.mark.django_db(transaction=True)
def test_a_proxy_that_fails_is_not_counted_as_the_peer(
    link_as_a: Link, counted: Callable[..., float], settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {
        "HTTP_PROXY_URL": "http://127.0.0.1:9",
    }
    session = get_session(link_as_a, allow_hosts=["music.example"])

    with pytest.raises(requests.RequestException):
        session.get("https://music.example/api/")

    measured = {"peer": "music", "purpose": "api"}
    name = "http_request_duration_seconds_count"
    assert counted(name, outcome="proxy", **measured) == 1
    assert counted(name, outcome="unreachable", **measured) == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.urls(__name__)
def test_figures_are_read_when_prometheus_asks(peer: Peer, settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"METRICS_TOKEN": TOKEN}
    pausing.pause(peer, Reason.CREDENTIALS_REFUSED)

    text = _scraped()

    assert 'reciprocal_oauth_peer_paused{peer="music"} 1.0' in text
    assert 'reciprocal_oauth_deliveries_due{queue="outbox"} 0.0' in text
    assert "reciprocal_oauth_worker_missing" in text
    assert "reciprocal_oauth_figures_up 1.0" in text
    assert {family.name for family in text_string_to_metric_families(text)} >= {
        name.removesuffix("_total") for name in METRICS
    }


@pytest.mark.django_db
@pytest.mark.urls(__name__)
@pytest.mark.parametrize("atomic", [True, False])
def test_without_a_database_the_counters_are_still_there(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, atomic: bool
) -> None:
    def fail(*arguments: Any) -> None:
        raise OperationalError("server closed the connection")

    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"METRICS_TOKEN": TOKEN}
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic)

    with connection.execute_wrapper(fail):
        text = _scraped()

    assert "reciprocal_oauth_figures_up 0.0" in text
    assert "reciprocal_oauth_handovers_total" in text


@pytest.mark.threat("X123")
@pytest.mark.urls(__name__)
@pytest.mark.parametrize(
    ("expected", "sent", "status"),
    [
        ("", "", 403),
        ("", "Bearer ", 403),
        (TOKEN, "", 401),
        (TOKEN, "Bearer other", 401),
        (TOKEN, f"Basic {TOKEN}", 401),
        (TOKEN, "Bearer tökén", 401),
    ],
)
def test_metrics_are_not_public(expected: str, sent: str, status: int, settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"METRICS_TOKEN": expected}

    response = Client().get("/metrics/", headers={"Authorization": sent} if sent else {})

    assert response.status_code == status
    assert b"reciprocal_oauth_" not in response.content
    assert TOKEN not in response.content.decode()
    assert ("WWW-Authenticate" in response) == (status == 401)


@pytest.mark.threat("X123")
def test_labels_tell_nothing_about_people() -> None:
    allowed = {
        "peer", "direction", "step", "result", "kind", "reason", "cause", "purpose", "outcome",
    }  # fmt: skip
    for what in (*telemetry.Count, *telemetry.Duration):
        assert set(what.labels) <= allowed


def test_several_processes_are_one_site(tmp_path: Path) -> None:
    """A worker has no address at which Prometheus could ask it. Both share a directory."""
    program = """
import django; django.setup()
from reciprocal_oauth.contrib.prometheus import PrometheusListener
from reciprocal_oauth.core.telemetry import Count
PrometheusListener().count(Count.TOKEN_REFRESHES, {"peer": "music", "result": "done"})
"""
    scrape = """
import django; django.setup()
from reciprocal_oauth.contrib.prometheus import view
from prometheus_client import generate_latest
print(generate_latest(view._registry()).decode())
"""
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
    }
    env.pop("TEST_DATABASE_URL", None)
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program], env=env, cwd=TOP, check=True)
    printed = subprocess.run(
        [sys.executable, "-c", scrape], env=env, cwd=TOP, check=True, capture_output=True, text=True
    ).stdout

    line = 'reciprocal_oauth_token_refreshes_total{peer="music",result="done"} 2.0'
    assert line in printed
    assert "reciprocal_oauth_figures_up" in printed


def test_the_page_and_the_alerts_name_all_metrics_and_no_others() -> None:
    page = (TOP / "docs" / "monitoring.rst").read_text()
    alerts = (TOP / "docs" / "alerts.yml").read_text()

    assert [name for name in METRICS if f"``{name}``" not in page] == []
    used = set(re.findall(r"reciprocal_oauth_[a-z_]+", alerts))
    known = {*METRICS, *(f"{name}{end}" for name in METRICS for end in ("_bucket", "_count"))}
    assert used - known == set()


def _scraped() -> str:
    response = Client().get("/metrics/", headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.status_code == 200, response.content
    assert response["Cache-Control"].startswith("max-age=0")
    return response.content.decode()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool; see CONTRIBUTING.md")
def test_an_alert_tells_the_first_failure_too(tmp_path: Path) -> None:
    """A counter does not exist before it counts."""
    series = 'reciprocal_oauth_delivery_failures_total{peer="music",kind="handover",reason="x"}'
    labels = {"peer": "music", "kind": "handover", "reason": "x", "severity": "warning"}
    alert = {"exp_labels": labels}
    cases = {
        "_ _ _ 1 1 1": {"2m": [], "3m": [alert], "5m": [alert]},
        "1x120": {"119m": []},
        "0x30 1x30": {"29m": [], "32m": [alert]},
    }
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": series, "values": values}],
            "alert_rule_test": [
                {"eval_time": at, "alertname": "ReciprocalDeliveriesFailed", "exp_alerts": expected}
                for at, expected in times.items()
            ],
        }
        for values, times in cases.items()
    ]
    file = tmp_path / "test.yml"
    rules = re.sub(r"(?m)^ +(annotations|summary|description):.*$", "", ALERTS.read_text())
    (tmp_path / "alerts.yml").write_text(rules)
    file.write_text(json.dumps({"rule_files": ["alerts.yml"], "tests": tests}))

    told = subprocess.run(
        ["promtool", "test", "rules", file], capture_output=True, text=True, check=False
    )

    assert told.returncode == 0, told.stdout + told.stderr
