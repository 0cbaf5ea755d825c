"""The routes. Each view finds what belongs to the person, and calls the service of the page."""

from collections.abc import Callable
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404
from django.middleware.csrf import get_token
from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from ..conf import settings
from ..core import scopes
from ..links import incoming_access, lifecycle
from ..links.grant_policy import ForbiddenBySite
from ..models import Link, Peer
from ..models.inbox import with_newest_code
from ..party_a import authorization, consent, resending, return_urls, scope_changes, snapshot
from ..redaction.error_reports import holding_secrets
from .authentication import BearerAuthentication
from .pagination import Pages
from .parsing import BoundedJSONParser
from .permissions import ForAPerson, FromASession, HoldsScope
from .problems import Conflict, Forbidden, as_problem
from .serializers import (
    AnswerSerializer,
    AuthorizationSerializer,
    ConnectSerializer,
    FilterSerializer,
    LinkDetailSerializer,
    LinkSerializer,
    OfferSerializer,
    ScopesSerializer,
)
from .throttling import CONNECTING, PersonThrottle


class ApiView(GenericAPIView):
    """What all routes have in common. Nothing of it is left to the site's defaults, which may be
    laxer than this app can bear."""

    authentication_classes = [BearerAuthentication, SessionAuthentication]
    permission_classes = [ForAPerson, HoldsScope]
    throttle_classes = [PersonThrottle]
    parser_classes = [BoundedJSONParser]
    renderer_classes = [JSONRenderer]
    pagination_class = Pages
    filter_backends = []
    content_negotiation_class = DefaultContentNegotiation
    metadata_class = None
    versioning_class = None
    http_method_names = ["get", "head", "post", "put", "delete"]

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        # A request carries a token, or its answer the state of a visit.
        return holding_secrets(super().as_view(**initkwargs))

    def get_exception_handler(self) -> Callable[..., Response | None]:
        return as_problem

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.auth is None:
            # So that a front end finds the token that its next request has to send along.
            get_token(request._request)

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response

    def read(self, serializer: type[Any]) -> Any:
        """What the body says, checked. :raises ValidationError: it is wrong."""
        found = serializer(data=self.request.data)
        found.is_valid(raise_exception=True)
        return found.validated_data


class UnknownView(ApiView):
    """Whatever else is asked for below the API."""

    authentication_classes = []
    permission_classes = []
    throttle_classes = []
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.perform_content_negotiation(request, force=True)
        if not request.path.endswith("/"):
            raise NotFound(_("The addresses of this API end with a slash."))
        raise Http404


class PeersView(ApiView, ListAPIView):
    """The peers that can be connected."""

    serializer_class = OfferSerializer
    ordering = ("slug",)

    def get_queryset(self) -> QuerySet[Peer]:
        own = Link.objects.filter(
            user=self.request.user,  # type: ignore[misc]
            peer=OuterRef("pk"),
            status=Link.Status.ACTIVE,
        )
        return Peer.objects.filter(enabled=True).annotate(is_linked=Exists(own))


class ConnectView(ApiView):
    """Step (A), for a browser that goes to the peer and comes back."""

    queryset = Peer.objects.filter(enabled=True)
    lookup_field = "slug"
    serializer_class = ConnectSerializer
    permission_classes = [ForAPerson, FromASession]
    throttle_scope = CONNECTING

    def post(self, request: Request, slug: str) -> Response:
        peer = self.get_object()
        return_to = self.read(ConnectSerializer).get("return_to", "")
        if return_to and not return_urls.is_allowed(return_to):
            raise Forbidden(
                "return_to_not_allowed", _("API_RETURN_TO does not allow this URL to return to.")
            )
        started = authorization.begin(request._request, peer, return_to=return_to)
        answer = {
            "authorization_url": started.url.reveal(),
            "expires_in": settings.AUTHORIZATION_REQUEST_LIFETIME_SECONDS,
        }
        response = Response(AuthorizationSerializer(answer).data)
        started.bind_to_browser(response)
        return response


class OwnLinksView(ApiView):
    """Only the links of the person who asks; those of others do not exist for them."""

    serializer_class: type[LinkSerializer] = LinkDetailSerializer

    def get_queryset(self) -> QuerySet[Link]:
        links = Link.objects.filter(user=self.request.user)  # type: ignore[misc]
        links = with_newest_code(links.select_related("peer__application"))
        return incoming_access.with_carried_scope(links)

    def shown(self, link: Link, status: int = status.HTTP_200_OK) -> Response:
        """The link as it is now."""
        return Response(self.get_serializer(self.get_queryset().get(pk=link.pk)).data, status)

    def forbid_to_itself(self, link: Link, chosen: list[str]) -> None:
        """A peer that may manage links must not give itself more than the person gave it.

        :raises Forbidden: the token is the peer's own, and this would be more.
        """
        token: Any = self.request.auth
        if token is None or token.application_id != link.peer.application_id:
            return
        # The scope is kept for the person, who may allow it again; the peer may not.
        taken_back = link.incoming_reason == Link.Reason.REVOKED_HERE
        given = set() if taken_back else set(scopes.split(link.incoming_scope))
        if not set(chosen) <= given:
            raise Forbidden("own_access", _("An application cannot give itself more access."))


class LinksView(OwnLinksView, ListAPIView):
    """The person's links, the newest first."""

    serializer_class = LinkSerializer
    ordering = ("-created_at",)

    def get_queryset(self) -> QuerySet[Link]:
        # As a dict: of a form's fields, a blank one would count as left out.
        wanted = FilterSerializer(data=self.request.query_params.dict())
        wanted.is_valid(raise_exception=True)
        return super().get_queryset().filter(status=wanted.validated_data["status"])


class LinkView(OwnLinksView):
    """One link."""

    def get(self, request: Request, pk: Any) -> Response:
        return self.shown(self.get_object())

    def delete(self, request: Request, pk: Any) -> Response:
        lifecycle.end_link(self.get_object(), Link.Reason.REVOKED_HERE, revoke_outgoing=True)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ConsentView(OwnLinksView):
    """The person's answer to the question of a link (draft, "User Consent")."""

    def post(self, request: Request, pk: Any) -> Response:
        link, sent = self.get_object(), self.read(AnswerSerializer)
        chosen, answers = list(dict.fromkeys(sent["scopes"])), sent["shown"]
        if not consent.can_answer(link):
            raise Conflict("no_question", _("There is nothing to answer."))
        if chosen:
            _require_same(answers, consent.snapshot_of(link))
        _require_offered(chosen, consent.choices(link))
        self.forbid_to_itself(link, chosen)
        try:
            consent.allow(link, chosen, snapshot=answers, request=request._request)
        except ForbiddenBySite as refused:
            raise _not_allowed_here() from refused
        except consent.CannotGrant as changed:
            raise _changed_meanwhile() from changed
        return self.shown(link)


class ScopesView(OwnLinksView):
    """What the peer may do here, changed (draft, "Authorization Update Flow")."""

    def put(self, request: Request, pk: Any) -> Response:
        link, sent = self.get_object(), self.read(ScopesSerializer)
        chosen, answers = list(dict.fromkeys(sent["scopes"])), sent["shown"]
        if not scope_changes.is_changeable(link):
            raise Conflict("not_changeable", _("There is nothing that could be changed."))
        _require_same(answers, scope_changes.snapshot_of(link))
        _require_offered(chosen, scope_changes.choices(link))
        self.forbid_to_itself(link, chosen)
        if set(chosen) != scope_changes.chosen_now(link):
            try:
                scope_changes.change(link, chosen, snapshot=answers, request=request._request)
            except ForbiddenBySite as refused:
                raise _not_allowed_here() from refused
            except scope_changes.CannotChange as changed:
                raise _changed_meanwhile() from changed
        return self.shown(link)


class RetryView(OwnLinksView):
    """Sends once more what the person has allowed, where that was given up."""

    def post(self, request: Request, pk: Any) -> Response:
        link = self.get_object()
        try:
            resending.try_again(link)
        except resending.NotPossible as why:
            raise Conflict("nothing_to_retry", str(why)) from why
        return self.shown(link, status.HTTP_202_ACCEPTED)


def _require_same(sent: str, now: str) -> None:
    """:raises Conflict: the person has chosen from something else than what is so now."""
    if not snapshot.is_same(sent, now):
        raise _changed_meanwhile()


def _not_allowed_here() -> Forbidden:
    return Forbidden(
        "not_allowed_here", _("The rules of this site do not let your account give this access.")
    )


def _require_offered(chosen: list[str], choices: list[tuple[str, str]]) -> None:
    """:raises Conflict: something is chosen that cannot be."""
    strange = [token for token in chosen if token not in dict(choices)]
    if strange:
        names = ", ".join(strange[:5])
        raise Conflict("not_offered", _("These cannot be chosen: %(names)s.") % {"names": names})


def _changed_meanwhile() -> Conflict:
    return Conflict("changed", _("This has changed meanwhile. Please look again."))
