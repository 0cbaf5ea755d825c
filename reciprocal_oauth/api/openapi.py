"""What the OpenAPI schema says about the routes, for drf-spectacular (extra ``[openapi]``).

The extensions register when this module is imported, which ``urls`` does. The views know nothing
of it.
"""

from typing import Any

from django.urls import NoReverseMatch, reverse
from drf_spectacular.drainage import set_override
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiViewExtension
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)
from rest_framework import serializers

from ..conf import settings
from ..core import scopes
from ..models import Link
from . import serializers as bodies
from .pagination import MAX_PAGE_SIZE
from .permissions import scope_for
from .problems import MEDIA_TYPE

_VIEWS = "reciprocal_oauth.api.views"
_BEARER = "reciprocalBearer"

_MEANINGS = {
    400: "Malformed, or a field is wrong.",
    401: "Nobody is signed in, or the access token is not good.",
    403: "A scope or the CSRF token is missing, or this goes further than is allowed.",
    404: "There is no such thing, or it is not this person's.",
    406: "Only JSON is answered.",
    409: "The link is not in a state to do that.",
    413: "The body is too large.",
    415: "Only JSON is read.",
    429: "Too many requests: `Retry-After` says for how many seconds.",
    503: "The database is too busy: `Retry-After` says for how many seconds.",
}
_ALWAYS = (401, 403, 406, 429, 503)
_WITH_BODY = (400, 413, 415)


class FieldErrorSerializer(serializers.Serializer):
    field = serializers.CharField(help_text="Path to the field, such as “scopes.0”.")
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer):
    """Problem details (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField(help_text="The phrase of the status.")
    status = serializers.IntegerField()
    code = serializers.CharField(help_text="Tells the problems of one status apart.")
    detail = serializers.CharField(help_text="In words.")
    errors = FieldErrorSerializer(many=True, required=False)  # type: ignore[assignment]


# A site may have a Link or a Problem of its own in the same schema.
for _name, _class in {**vars(bodies), **globals()}.items():
    if _name.endswith("Serializer"):
        set_override(_class, "component_name", f"Reciprocal{_name.removesuffix('Serializer')}")


def _operation(
    name: str, summary: str, description: str, *problems: int, success: Any, **more: Any
) -> Any:
    """:param problems: statuses of the problems beside those that every route may answer."""
    answers: dict[Any, Any] = dict(success)
    for status in sorted({*_ALWAYS, *problems}):
        answers[status, MEDIA_TYPE] = OpenApiResponse(
            ProblemSerializer, description=_MEANINGS[status]
        )
    return extend_schema(
        operation_id=f"reciprocal_{name}",
        summary=summary,
        description=description,
        responses=answers,
        tags=["reciprocal"],
        **more,
    )


def _describe(view: str, **operations: Any) -> None:
    """Have the view of that name described by ``operations``, one for each method."""

    class Extension(OpenApiViewExtension):  # type: ignore[no-untyped-call]
        target_class = f"{_VIEWS}.{view}"

        def view_replacement(self) -> Any:
            # A class of its own, so that the view itself stays as it is.
            stock: Any = self.target_class
            return extend_schema_view(**operations)(type(view, (stock,), {}))


_PAGE_SIZE = OpenApiParameter(
    "page_size",
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": 20},
    description="How many to answer at most.",
)
_STATUS = OpenApiParameter(
    "status",
    {"type": "string", "enum": Link.Status.values, "default": Link.Status.ACTIVE.value},
    description="Links that are in force, or those that have ended.",
)

_describe(
    "PeersView",
    get=_operation(
        "peers",
        "Peers that can be connected",
        "The other sites, in the order of their short names.",
        400,
        404,
        success={200: bodies.OfferSerializer(many=True)},
        parameters=[_PAGE_SIZE],
    ),
)
_describe(
    "ConnectView",
    post=_operation(
        "connect",
        "Begin a connection",
        "Answers with the address at the peer to send this browser to. With the session cookie "
        "only: the peer's answer is taken in the session that began the visit, and in no other. "
        "When the person is back, the browser goes on to `return_to`, with `peer` and either "
        "`link` or `problem` added to its query.",
        404,
        *_WITH_BODY,
        success={200: bodies.AuthorizationSerializer},
        request=bodies.ConnectSerializer,
        auth=[{"cookieAuth": []}],
    ),
)
_describe(
    "LinksView",
    get=_operation(
        "links",
        "The person's links",
        "The newest first.",
        400,
        404,
        success={200: bodies.LinkSerializer(many=True)},
        parameters=[_PAGE_SIZE, _STATUS],
    ),
)
_describe(
    "LinkView",
    get=_operation(
        "link",
        "One link",
        "Both directions, and the steps of its newest run through the protocol.",
        404,
        success={200: bodies.LinkDetailSerializer},
    ),
    delete=_operation(
        "disconnect",
        "End a link",
        "The peer's tokens here die at once; those of this site there are revoked as soon as the "
        "peer can be told. Ending a link twice is no error.",
        404,
        success={204: OpenApiResponse(description="It has ended.")},
    ),
)
_describe(
    "ConsentView",
    post=_operation(
        "consent",
        "Answer the question of a link",
        "Allows the peer what is chosen of `question.scopes`, or nothing. The code for it is sent "
        "to the peer in the background.",
        404,
        409,
        *_WITH_BODY,
        success={200: bodies.LinkDetailSerializer},
        request=bodies.AnswerSerializer,
    ),
)
_describe(
    "ScopesView",
    put=_operation(
        "scopes",
        "Change what the peer may do here",
        "Less takes effect at once, more when the peer has redeemed the code that is sent to it. "
        "To allow nothing, end the link.",
        404,
        409,
        *_WITH_BODY,
        success={200: bodies.LinkDetailSerializer},
        request=bodies.ScopesSerializer,
    ),
)
_describe(
    "RetryView",
    post=_operation(
        "retry",
        "Send again what was given up",
        "Begins anew to send the peer what the person has allowed.",
        404,
        409,
        success={202: bodies.LinkDetailSerializer},
        request=None,
    ),
)


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "reciprocal_oauth.api.authentication.BearerAuthentication"
    name = _BEARER
    priority = 1  # drf-spectacular has one for the class that ours is derived from.

    def get_security_requirement(self, auto_schema: Any) -> Any:
        scope = scope_for(auto_schema.method)
        return {self.name: [scope]} if scope else []

    def get_security_definition(self, auto_schema: Any) -> Any:
        described = scopes.described()
        used = filter(None, (settings.API_READ_SCOPE, settings.API_WRITE_SCOPE))
        try:
            endpoints = {
                "authorizationUrl": reverse("oauth2_provider:authorize"),
                "tokenUrl": reverse("oauth2_provider:token"),
            }
        except NoReverseMatch:  # Another server gives the tokens.
            return {"type": "http", "scheme": "bearer"}
        return {
            "type": "oauth2",
            "flows": {
                "authorizationCode": {
                    **endpoints,
                    "scopes": {scope: str(described.get(scope, "")) for scope in used},
                }
            },
        }
