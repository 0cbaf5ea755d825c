"""Large uploads to endpoints that take forms end nowhere."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import HttpRequest
from django.test import Client
from oauth2_provider.models import get_access_token_model

from ..conftest import PEER_SECRET, basic

pytestmark = [pytest.mark.django_db, pytest.mark.threat("D91"), pytest.mark.rfc("6749", "3.2")]

ENDPOINTS = ["token/", "token", "revoke_token/", "introspect/", "device-authorization/"]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of what was written to temporary files."""
    sizes: list[int] = []
    write = TemporaryFileUploadHandler.receive_data_chunk

    def receive(self: Any, raw_data: bytes, start: int) -> Any:
        sizes.append(len(raw_data))
        return write(self, raw_data, start)

    monkeypatch.setattr(TemporaryFileUploadHandler, "receive_data_chunk", receive)
    return sizes


def upload(application: Any, endpoint: str, size: int) -> Any:
    """Post the fields of a request, and a file."""
    fields = {"grant_type": "refresh_token", "refresh_token": "x", "token": "x"}
    file = SimpleUploadedFile("f", b"x" * size)
    headers = basic(application.client_id, PEER_SECRET)
    return Client().post(f"/o/{endpoint}", {**fields, "file": file}, headers=headers)


@pytest.mark.parametrize("size", [1, 5_000_000])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_file_is_refused_before_it_is_written(
    application: Any, written: list[int], endpoint: str, size: int
) -> None:
    response = upload(application, endpoint, size)

    assert (response.status_code, response.json()) == (400, {"error": "invalid_request"})
    assert response["Cache-Control"] == "no-store"
    assert written == []


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_fields_of_a_long_one_are_not_even_read(
    application: Any, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    def read(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the body is read")

    monkeypatch.setattr(HttpRequest, "parse_file_upload", read)

    assert upload(application, endpoint, 100_000).status_code == 400


def test_a_short_form_of_that_type_is_answered_as_by_django_oauth_toolkit(
    application: Any, token_of_a: Any
) -> None:
    fields = {"grant_type": "refresh_token", "refresh_token": token_of_a.raw_refresh}
    headers = basic(application.client_id, PEER_SECRET)

    assert Client().post("/o/token/", fields, headers=headers).status_code == 200
    assert get_access_token_model().objects.exists()
