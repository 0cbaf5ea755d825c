"""Mistakes in the vendor dialects of the site under test. The tester must find them."""

from dataclasses import replace

from django.http import HttpRequest, HttpResponse

from reciprocal_oauth.dialects.base import Handover
from reciprocal_oauth.exceptions import HandoverRefused

from . import site_dialects


class Alexa(site_dialects.Alexa):
    """It answers before it redeems, does not read client_id, and repeats what it refuses."""

    redeems_first = False

    def parse(self, request: HttpRequest) -> Handover:
        return replace(super().parse(request), client_id=None)

    def error(self, refused: HandoverRefused, request: HttpRequest) -> HttpResponse:
        response = super().error(refused, request)
        response.content += request.body
        return response


class Google(site_dialects.Google):
    """It answers before it redeems, and an error is an exception."""

    redeems_first = False

    def error(self, refused: HandoverRefused, request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=500)


class _Anything(frozenset[str]):
    def __contains__(self, item: object) -> bool:
        return True


class SmartThings(site_dialects.SmartThings):
    """It redeems at any address, takes the grant of another client, and answers first."""

    redeems_first = False
    addresses = {name: _Anything() for name in site_dialects.SmartThings.addresses}

    def parse(self, request: HttpRequest) -> Handover:
        return replace(super().parse(request), our_client_id=None)
