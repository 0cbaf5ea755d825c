"""Describes the API views for the OpenAPI schema that drf-spectacular makes.

If drf-spectacular is installed (the extra ``openapi`` of this package), ``api/urls.py`` imports
this module, and the import registers the descriptions. The views also work without this module.
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
from . import link_serializers, peer_serializers, request_serializers
from .openapi_examples import EXAMPLES, PROBLEMS
from .openapi_introduction import CONNECTING, LINKS, PEERS
from .pagination import MAX_PAGE_SIZE
from .permissions import scope_for
from .problems import MEDIA_TYPE

_VIEWS = "reciprocal_oauth.api"
_BEARER = "reciprocalBearer"

_MEANINGS = {
    400: "The body is malformed, or a field is wrong.",
    401: "Nobody is signed in, or the access token is not valid.",
    403: "A scope or the CSRF token is missing, or the request is not allowed.",
    404: "It does not exist, or it belongs to another person.",
    406: "The API only returns JSON.",
    409: "The current state of the link does not allow this.",
    413: "The body is too large.",
    415: "The API only reads JSON.",
    429: "Too many requests: wait as many seconds as `Retry-After` says.",
    503: "The database is too busy: wait as many seconds as `Retry-After` says.",
}
_ALWAYS = (401, 403, 406, 429, 503)
_WITH_BODY = (400, 413, 415)


class FieldErrorSerializer(serializers.Serializer):
    """One error in one field of the request."""

    field = serializers.CharField(help_text="Path to the field, such as “scopes.0”.")
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer):
    """The response to a request that has failed: problem details (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField(help_text="The name of the status.")
    status = serializers.IntegerField()
    code = serializers.CharField(help_text="The name of the problem, for programs.")
    detail = serializers.CharField(help_text="The problem in words, for people.")
    errors = FieldErrorSerializer(many=True, required=False)  # type: ignore[assignment]


# Add a prefix to the names of our schema components, because the site may have its own component
# “Link” or “Problem” in the same schema.
for _name, _class in {
    **vars(request_serializers),
    **vars(peer_serializers),
    **vars(link_serializers),
    **globals(),
}.items():
    if _name.endswith("Serializer"):
        set_override(_class, "component_name", f"Reciprocal{_name.removesuffix('Serializer')}")


def _operation(
    name: str, summary: str, description: str, *problems: int, success: Any, tag: str, **more: Any
) -> Any:
    """Return a decorator that describes one HTTP method of a view.

    :param problems: the status codes of errors that this method can return, in addition to the
        errors that every method can return.
    :param success: the successful responses, by status code.
    :param tag: the group in which the operation is shown.
    """
    responses: dict[Any, Any] = dict(success)
    for status in sorted({*_ALWAYS, *problems}):
        responses[status, MEDIA_TYPE] = OpenApiResponse(
            ProblemSerializer,
            description=_MEANINGS[status],
            examples=PROBLEMS.get(status, []),
        )
    return extend_schema(
        operation_id=f"reciprocal_{name}",
        summary=summary,
        description=description,
        responses=responses,
        tags=[tag],
        examples=EXAMPLES[name],
        **more,
    )


def _describe(view: str, **operations: Any) -> None:
    """Register the description of a view.

    :param view: the name of the view class.
    :param operations: the description of each HTTP method of the view.
    """

    class Extension(OpenApiViewExtension):  # type: ignore[no-untyped-call]
        target_class = f"{_VIEWS}.{'start_view' if view == 'StartView' else 'views'}.{view}"

        def view_replacement(self) -> Any:
            # Describe a subclass instead of the view class itself, because extend_schema_view()
            # changes the class that it describes.
            stock: Any = self.target_class
            return extend_schema_view(**operations)(type(view, (stock,), {}))


_PAGE_SIZE = OpenApiParameter(
    "page_size",
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": 20},
    description="The largest number of results in one page.",
)
_STATUS = OpenApiParameter(
    "status",
    {"type": "string", "enum": Link.Status.values, "default": Link.Status.ACTIVE.value},
    description="Active links, or links that have ended.",
)

_describe(
    "PeersView",
    get=_operation(
        "peers",
        "Peers that can be connected",
        "The other sites, ordered by short name.",
        400,
        404,
        tag=PEERS,
        success={200: peer_serializers.OfferSerializer(many=True)},
        parameters=[_PAGE_SIZE],
    ),
)
_describe(
    "ConnectView",
    post=_operation(
        "connect",
        "Start a connection",
        "Returns the URL at the peer to send this browser to. Only with the session cookie: the "
        "response of the peer is accepted only in the session that started the connection. "
        "Afterwards, the browser is redirected to `return_to`, with `peer` and either `link` or "
        "`problem` added to the query.",
        404,
        *_WITH_BODY,
        tag=CONNECTING,
        success={200: peer_serializers.AuthorizationSerializer},
        request=request_serializers.ConnectSerializer,
        auth=[{"cookieAuth": []}],
    ),
)
_describe(
    "StartView",
    post=_operation(
        "start",
        "Get a page that starts a connection, for an app",
        "Returns the URL of a page of this site. Open it in the browser of the system (RFC 8252). "
        "The page works only if the browser is signed in as the person of this request, begins one "
        "connection, and asks for the consent too. Afterwards, the person returns to `return_to`, "
        "with `peer`, `result` (`linked`, `one_way`, `denied` or `failed`), `link` or `problem`, "
        "and `state` in the query. The application of a peer cannot start (403, `own_access`).",
        404,
        409,
        *_WITH_BODY,
        tag=CONNECTING,
        success={200: peer_serializers.StartUrlSerializer},
        request=request_serializers.StartSerializer,
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
        tag=LINKS,
        success={200: link_serializers.LinkSerializer(many=True)},
        parameters=[_PAGE_SIZE, _STATUS],
    ),
)
_describe(
    "LinkView",
    get=_operation(
        "link",
        "One link",
        "Both directions, and the steps of the newest flow.",
        404,
        tag=LINKS,
        success={200: link_serializers.LinkDetailSerializer},
    ),
    delete=_operation(
        "disconnect",
        "End a link",
        "The peer's tokens here are revoked at once. The tokens of this site at the peer are "
        "revoked as soon as the peer can be reached. Ending a link twice is not an error.",
        404,
        tag=LINKS,
        success={204: OpenApiResponse(description="The link has ended.")},
    ),
)
_describe(
    "ConsentView",
    post=_operation(
        "consent",
        "Answer the question of a link",
        "Allows the peer the chosen scopes out of `question.scopes`, or refuses. The code for the "
        "peer is sent in the background.",
        404,
        409,
        *_WITH_BODY,
        tag=LINKS,
        success={200: link_serializers.LinkDetailSerializer},
        request=request_serializers.AnswerSerializer,
    ),
)
_describe(
    "ScopesView",
    put=_operation(
        "scopes",
        "Change what the peer may do here",
        "A reduction takes effect at once. An extension takes effect when the peer has redeemed "
        "the code that is sent to it. To allow nothing, end the link.",
        404,
        409,
        *_WITH_BODY,
        tag=LINKS,
        success={200: link_serializers.LinkDetailSerializer},
        request=request_serializers.ScopesSerializer,
    ),
)
_describe(
    "RetryView",
    post=_operation(
        "retry",
        "Send a failed hand-over again",
        "Sends the peer again what the person has allowed.",
        404,
        409,
        tag=LINKS,
        success={202: link_serializers.LinkDetailSerializer},
        request=None,
    ),
)


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes authentication by access token (RFC 6750, section 2.1) in the schema."""

    target_class = "reciprocal_oauth.api.authentication.BearerAuthentication"
    name = _BEARER
    priority = 1  # drf-spectacular has an extension with a lower priority for the base class.

    def get_security_requirement(self, auto_schema: Any) -> Any:
        """Return the name of this scheme with the scope that an access token needs for the HTTP
        method. If the method does not accept access tokens, return an empty list."""
        scope = scope_for(auto_schema.method)
        return {self.name: [scope]} if scope else []

    def get_security_definition(self, auto_schema: Any) -> Any:
        """Return the authorization code flow (RFC 6749, section 4.1) with its endpoints and scopes,
        or only the scheme ``bearer`` if this site is not the authorization server."""
        described = scopes.described()
        used = filter(None, (settings.API_READ_SCOPE, settings.API_WRITE_SCOPE))
        try:
            endpoints = {
                "authorizationUrl": reverse("oauth2_provider:authorize"),
                "tokenUrl": reverse("oauth2_provider:token"),
            }
        except NoReverseMatch:  # The authorization server is another site.
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
