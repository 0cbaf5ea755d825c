"""The views of the API. They call the same functions as the pages for users. A request can read and
change only the links of the person for whom it is sent."""

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
from ..core import reauthentication, scopes
from ..links import incoming_access, lifecycle
from ..links.grant_policy import ForbiddenBySite
from ..models import Link, Peer
from ..models.inbox import with_newest_code
from ..party_a import authorization, consent, resending, return_urls, scope_changes, snapshot
from ..presentation.peer_logo import with_logos
from ..redaction.error_reports import holding_secrets
from ..status.waiting import with_waiting_here
from .authentication import BearerAuthentication
from .link_serializers import LinkDetailSerializer, LinkSerializer
from .pagination import Pages
from .parsing import BoundedJSONParser
from .peer_serializers import AuthorizationSerializer, OfferSerializer
from .permissions import ForAPerson, FromASession, HoldsScope
from .problems import Conflict, Forbidden, as_problem
from .request_serializers import (
    AnswerSerializer,
    ConnectSerializer,
    FilterSerializer,
    ScopesSerializer,
)
from .throttling import CONNECTING, PersonThrottle


class ApiView(GenericAPIView):
    """Base class of all views of the API.

    It sets every option of Django REST framework itself, because the defaults of the site may be
    too permissive for this app.
    """

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
        """Return the view as a function, and keep secrets out of error reports: the access token of
        the request, and the ``state`` in the authorization URL of the response."""
        return holding_secrets(super().as_view(**initkwargs))

    def get_exception_handler(self) -> Callable[..., Response | None]:
        """Return the function that turns an exception into a response with problem details."""
        return as_problem

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check the request. If it uses a session, set the CSRF cookie in the response."""
        super().initial(request, *args, **kwargs)
        if request.auth is None:
            # Calling get_token() sets the cookie with the CSRF token. A front end in the browser
            # must send this token with its next change.
            get_token(request._request)

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        """Tell browsers and caches not to store the response (RFC 9111, section 5.2.2.5)."""
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response

    def read(self, serializer: type[Any]) -> Any:
        """Check the request body with ``serializer``, and return its data.

        :raises ValidationError: the body is not valid.
        """
        found = serializer(data=self.request.data)
        found.is_valid(raise_exception=True)
        return found.validated_data


class UnknownView(ApiView):
    """Responds with status 404 to every path for which the API has no other view."""

    authentication_classes = []
    permission_classes = []
    throttle_classes = []
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Always raise an error that leads to status 404.

        :raises NotFound: the path does not end with a slash.
        :raises Http404: the path ends with a slash.
        """
        self.perform_content_negotiation(request, force=True)
        if not request.path.endswith("/"):
            raise NotFound(_("The URLs of this API end with a slash."))
        raise Http404


class PeersView(ApiView, ListAPIView):
    """Lists the peers that the person can connect."""

    serializer_class = OfferSerializer
    ordering = ("slug",)

    def get_queryset(self) -> QuerySet[Peer]:
        """Return the enabled peers with which people can start to connect at this site. Their
        attribute ``is_linked`` is true if the person has an
        active link with the peer."""
        own = Link.objects.filter(
            user=self.request.user,  # type: ignore[misc]
            peer=OuterRef("pk"),
            status=Link.Status.ACTIVE,
        )
        startable = [peer.pk for peer in Peer.objects.filter(enabled=True) if peer.can_start]
        offers = Peer.objects.filter(pk__in=startable).annotate(is_linked=Exists(own))
        return with_logos(offers)


class ConnectView(ApiView):
    """Starts a connection to a peer (RFC 6749, section 4.1.1). This is step (A) of the figure in
    draft-ietf-oauth-reciprocal-04, section 2.

    The client sends the browser to the URL in the response. The peer redirects the browser back to
    this site.
    """

    queryset = Peer.objects.filter(enabled=True)
    lookup_field = "slug"
    serializer_class = ConnectSerializer
    permission_classes = [ForAPerson, FromASession]
    throttle_scope = CONNECTING

    def post(self, request: Request, slug: str) -> Response:
        """Start a connection, and return the URL at the peer to which the browser must go.

        :raises Conflict: people cannot start at this site to connect with this peer.
        :raises Forbidden: the setting ``API_RETURN_TO`` does not allow ``return_to``, or it is a
            URL that a browser does not open itself, or this site wants to ask for the password
            again first (``REAUTHENTICATE``).
        """
        peer = self.get_object()
        require_startable(peer)
        return_to = self.read(ConnectSerializer).get("return_to", "")
        require_return_to(return_to)
        if return_to and not return_urls.is_of_web(return_to):
            text = _("The browser cannot return to an app. An app has to use “start” instead.")
            raise Forbidden("return_to_not_allowed", text)
        _require_recent_proof(request)
        started = authorization.begin(request._request, peer, return_to=return_to)
        data = {
            "authorization_url": started.url.reveal(),
            "expires_in": settings.AUTHORIZATION_REQUEST_LIFETIME_SECONDS,
        }
        response = Response(AuthorizationSerializer(data).data)
        started.bind_to_browser(response)
        return response


class OwnLinksView(ApiView):
    """Base class of the views for links. A person sees only their own links; links of other people
    lead to status 404."""

    serializer_class: type[LinkSerializer] = LinkDetailSerializer

    def get_queryset(self) -> QuerySet[Link]:
        """Return the links of the person, with all data that the serializers need."""
        links = Link.objects.filter(user=self.request.user)  # type: ignore[misc]
        links = with_logos(links.select_related("peer__application"), "peer__")
        links = with_waiting_here(with_newest_code(links))
        return incoming_access.with_carried_scope(links)

    def respond_with(self, link: Link, status: int = status.HTTP_200_OK) -> Response:
        """Read the link again from the database, and return it as the response."""
        return Response(self.get_serializer(self.get_queryset().get(pk=link.pk)).data, status)

    def forbid_more_for_itself(self, link: Link, chosen: list[str]) -> None:
        """Check that a peer does not use the API to give itself more scopes than it has now.

        :raises Forbidden: the request uses an access token of the peer of ``link``, and ``chosen``
            contains a scope that the person has not allowed the peer.
        """
        token: Any = self.request.auth
        if token is None or token.application_id != link.peer.application_id:
            return
        # After the access was revoked at this site, the link still stores the scope, so that the
        # person can allow it again. But the peer must not give itself this scope again. So treat
        # the stored scope as empty here.
        taken_back = link.incoming_reason == Link.Reason.REVOKED_HERE
        given = set() if taken_back else set(scopes.split(link.incoming_scope))
        if not set(chosen) <= given:
            raise Forbidden("own_access", _("An application cannot give itself more access."))


class LinksView(OwnLinksView, ListAPIView):
    """Lists the links of the person, the newest first."""

    serializer_class = LinkSerializer
    ordering = ("-created_at",)

    def get_queryset(self) -> QuerySet[Link]:
        """Return the links of the person that have the status in the query.

        :raises ValidationError: the query has an unknown status.
        """
        # Convert the query to a dict. In a QueryDict, REST framework treats an empty value as
        # missing, so “?status=” would return the active links instead of an error.
        wanted = FilterSerializer(data=self.request.query_params.dict())
        wanted.is_valid(raise_exception=True)
        return super().get_queryset().filter(status=wanted.validated_data["status"])


class LinkView(OwnLinksView):
    """Shows one link of the person, or ends it."""

    def get(self, request: Request, pk: Any) -> Response:
        """Return the link with the steps of its newest flow."""
        return self.respond_with(self.get_object())

    def delete(self, request: Request, pk: Any) -> Response:
        """End the link: revoke the access of the peer at this site, and queue the revocation of the
        access of this site at the peer (RFC 7009, section 2)."""
        lifecycle.end_link(self.get_object(), Link.Reason.REVOKED_HERE, revoke_outgoing=True)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ConsentView(OwnLinksView):
    """Saves the person's answer to the question which scopes the peer may have at this site
    (draft-ietf-oauth-reciprocal-04, section 2.2.1)."""

    def post(self, request: Request, pk: Any) -> Response:
        """Allow the peer the chosen scopes at this site. An empty list of scopes refuses access.

        :raises Conflict: the person cannot answer now, the question has changed, or a chosen
            scope is not part of the question.
        :raises Forbidden: the rules of this site do not allow the chosen scopes, or a peer tries
            to give itself more access.
        """
        link, sent = self.get_object(), self.read(AnswerSerializer)
        chosen, answers = list(dict.fromkeys(sent["scopes"])), sent["shown"]
        if not consent.can_answer(link):
            raise Conflict("no_question", _("This link has no open question."))
        if chosen:
            _require_same(answers, consent.snapshot_of(link))
        _require_offered(chosen, consent.choices(link))
        self.forbid_more_for_itself(link, chosen)
        try:
            consent.allow(link, chosen, snapshot=answers, request=request._request)
        except ForbiddenBySite as refused:
            raise _not_allowed_here() from refused
        except consent.CannotGrant as changed:
            raise _changed_meanwhile() from changed
        return self.respond_with(link)


class ScopesView(OwnLinksView):
    """Changes the scopes that the peer has at this site (draft-ietf-oauth-reciprocal-04, section
    3)."""

    def put(self, request: Request, pk: Any) -> Response:
        """Replace the scopes that the peer has at this site by the chosen scopes.

        :raises Conflict: the scopes cannot be changed now, the link has changed since the person
            saw it, or a chosen scope is not among the choices.
        :raises Forbidden: the rules of this site do not allow the chosen scopes, or a peer tries
            to give itself more access.
        """
        link, sent = self.get_object(), self.read(ScopesSerializer)
        chosen, answers = list(dict.fromkeys(sent["scopes"])), sent["shown"]
        if not scope_changes.is_changeable(link):
            raise Conflict("not_changeable", _("The access of the peer cannot be changed now."))
        _require_same(answers, scope_changes.snapshot_of(link))
        _require_offered(chosen, scope_changes.choices(link))
        self.forbid_more_for_itself(link, chosen)
        if set(chosen) != scope_changes.chosen_now(link):
            try:
                scope_changes.change(link, chosen, snapshot=answers, request=request._request)
            except ForbiddenBySite as refused:
                raise _not_allowed_here() from refused
            except scope_changes.CannotChange as changed:
                raise _changed_meanwhile() from changed
        return self.respond_with(link)


class RetryView(OwnLinksView):
    """Sends a hand-over (the delivery of a reciprocal code to the peer) again after it has failed
    (draft-ietf-oauth-reciprocal-04, section 2.2.2)."""

    def post(self, request: Request, pk: Any) -> Response:
        """Send the peer a reciprocal code again for the access that the person has allowed.

        :raises Conflict: no hand-over has failed, or the hand-over cannot be sent again now.
        """
        link = self.get_object()
        try:
            resending.try_again(link)
        except resending.NotPossible as why:
            raise Conflict("nothing_to_retry", str(why)) from why
        return self.respond_with(link, status.HTTP_202_ACCEPTED)


def require_startable(peer: Peer) -> None:
    """Check that people can start at this site to connect with ``peer``.

    :raises Conflict: they start at the peer.
    """
    if not peer.can_start:
        text = _("People start at %(name)s to connect this peer, not at this site.")
        raise Conflict("starts_at_peer", text % {"name": peer.name})


def require_return_to(url: str) -> None:
    """Check that the person may return to ``url``. An empty URL is a page of this app.

    :raises Forbidden: the setting ``API_RETURN_TO`` does not allow it.
    """
    if url and not return_urls.is_allowed(url):
        raise Forbidden("return_to_not_allowed", _("API_RETURN_TO does not contain this URL."))


def _require_recent_proof(request: Request) -> None:
    """Check that the person has given the password a short time ago, if this site wants that. A
    front end cannot show the question, so the page of a start asks it.

    :raises Forbidden: the person must be asked first.
    """
    if reauthentication.ask(request._request, "/") is not None:
        text = _("This site asks for the password again first. Use “start”: its page asks.")
        raise Forbidden("reauthentication_required", text)


def _require_same(sent: str, now: str) -> None:
    """Check that the person has seen the current state of the link.

    :param sent: the value of ``shown`` in the request.
    :param now: the current value of ``shown``.
    :raises Conflict: the two values differ, so the link has changed since the person saw it.
    """
    if not snapshot.is_same(sent, now):
        raise _changed_meanwhile()


def _not_allowed_here() -> Forbidden:
    return Forbidden(
        "not_allowed_here", _("The rules of this site do not let your account allow this access.")
    )


def _require_offered(chosen: list[str], choices: list[tuple[str, str]]) -> None:
    """Check that the person can choose every scope in ``chosen``.

    :param choices: the scopes that the person can choose, each with its description.
    :raises Conflict: a scope in ``chosen`` is not among ``choices``.
    """
    unknown = [token for token in chosen if token not in dict(choices)]
    if unknown:
        names = ", ".join(unknown[:5])
        text = _("These scopes cannot be chosen: %(names)s.") % {"names": names}
        raise Conflict("not_offered", text)


def _changed_meanwhile() -> Conflict:
    return Conflict("changed", _("The connection has changed meanwhile. Please read it again."))
