"""Large uploads to endpoints that take forms end nowhere."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import HttpRequest
from django.test import Client
from django.test.client import BOUNDARY, encode_multipart
from oauth2_provider.models import get_access_token_model

from ..conftest import PEER_SECRET, basic, post_form

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


@pytest.mark.parametrize(("too_long", "status"), [(0, 200), (1, 400)])
def test_a_form_of_that_type_is_read_up_to_64_kib(
    application: Any, token_of_a: Any, too_long: int, status: int
) -> None:
    fields = {"grant_type": "refresh_token", "refresh_token": token_of_a.raw_refresh}
    headers = basic(application.client_id, PEER_SECRET)
    without_padding = len(encode_multipart(BOUNDARY, {**fields, "padding": ""}))
    padding = "x" * (64 * 1024 - without_padding + too_long)

    response = Client().post("/o/token/", {**fields, "padding": padding}, headers=headers)

    assert response.status_code == status


def test_a_long_form_of_the_usual_type_is_left_to_django_oauth_toolkit(
    application: Any, token_of_a: Any
) -> None:
    fields = {"grant_type": "refresh_token", "refresh_token": token_of_a.raw_refresh}
    headers = basic(application.client_id, PEER_SECRET)

    response = post_form(Client(), {**fields, "padding": "x" * 100_000}, headers)

    assert response.status_code == 200
