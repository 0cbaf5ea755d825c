"""A dialect of an imaginary vendor that sends JSON to an address of its own."""

from django.http import HttpRequest, HttpResponse, JsonResponse

from reciprocal_oauth.dialects import json_body
from reciprocal_oauth.dialects.base import Endpoint, Handover, Notice, Report, Trust, UnlinkNotice
from reciprocal_oauth.dialects.ietf import IETFDialect
from reciprocal_oauth.exceptions import HandoverRefused


class PostboxDialect(IETFDialect):
    """The access token is the proof. The dialect ``locked`` below wants client credentials."""

    endpoint = Endpoint.OWN
    trust = Trust.BEARER

    def recognise(self, request: HttpRequest) -> bool:
        return json_body.peek(request).get("kind") == "code"

    def parse(self, request: HttpRequest) -> Handover:
        members = json_body.read(request)
        if members.get("kind") != "code":
            raise json_body.malformed("not a code")
        return Handover(
            code=json_body.secret(members, "code"),
            access_token=json_body.secret(members, "token"),
            client_id=members.get("client_id"),
            our_client_id=members.get("our_client_id"),
            trust=self.trust,
            data={"where": members["where"]} if "where" in members else {},
        )

    def notice(self, request: HttpRequest) -> Notice | None:
        members = json_body.peek(request)
        if members.get("kind") == "gone":
            return UnlinkNotice(json_body.secret(members, "token"))
        return Report("code 7") if members.get("kind") == "report" else None

    def success(self, request: HttpRequest) -> HttpResponse:
        return JsonResponse({"said": json_body.peek(request).get("kind")})

    def error(self, refused: HandoverRefused, request: HttpRequest) -> HttpResponse:
        return JsonResponse({"cause": refused.cause.name}, status=refused.status)


class LockedPostboxDialect(PostboxDialect):
    trust = Trust.CLIENT


class FirstPostboxDialect(PostboxDialect):
    redeems_first = True


class NoticesDialect(IETFDialect):
    """Hand-overs come to the token endpoint, notices to the address of its own."""

    notice = PostboxDialect.notice
    error = PostboxDialect.error


DIALECTS = {
    name: f"{__name__}.{each.__name__}"
    for name, each in {
        "postbox": PostboxDialect,
        "locked": LockedPostboxDialect,
        "first": FirstPostboxDialect,
        "notices": NoticesDialect,
    }.items()
}
