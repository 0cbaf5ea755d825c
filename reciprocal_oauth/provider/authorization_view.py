"""DOT's authorization endpoint, which also asks peers for the reverse."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from oauth2_provider.models import get_application_model
from oauth2_provider.views import AuthorizationView as DOTAuthorizationView
from oauthlib.oauth2.rfc6749 import errors

from ..compat import login_not_required, oauth2_settings
from ..links import grant_policy
from ..links.incoming_access import peer_of
from ..pages.headers import ProtectedPageMixin
from ..pages.refusal import not_allowed
from ..party_b import scope_request
from ..redaction.error_reports import holding_secrets
from .issuer import add_issuer


class _AskFirst(Exception):
    """DOT is about to answer for the person, who has not seen the question."""


# The frames of DOT and oauthlib below hold the code that they mint as a plain variable. People who
# are not signed in are led to the login page by the view itself, or the peer is told.
@method_decorator([holding_secrets, login_not_required], name="dispatch")
class AuthorizationView(ProtectedPageMixin, DOTAuthorizationView):
    """Everything that DOT's view does, as a page that is protected like those of this app.

    Each response to a client names the issuer where one of them does. For a peer's application
    there are two more differences. Its authorization responses carry ``reciprocal`` (draft,
    "Reciprocal Scope Request"). And the person is always asked (RFC 6749, section 10.2): DOT lets
    the client skip the question with ``approval_prompt=auto``, and the site with
    ``REQUEST_APPROVAL_PROMPT`` and ``skip_authorization``; each time a peer would get tokens of
    which the person knows nothing. Before that, the rules of the site are asked.
    """

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response = super().get(request, *args, **kwargs)
        except _AskFirst:
            # DOT keeps here what it makes the page of.
            response = self.render_to_response(self.get_context_data(**self.oauth2_data))
        asked = self.oauth2_data
        if "application" in asked and not self._may_allow(asked["application"], asked["scopes"]):
            return self._say_not_allowed(
                asked["application"], asked["redirect_uri"], asked["state"]
            )
        return response

    def form_valid(self, form: Any) -> HttpResponse:
        sent = form.cleaned_data
        if sent["allow"] and grant_policy.has_rules():
            client = get_application_model().objects.filter(client_id=sent["client_id"]).first()
            if not self._may_allow(client, sent["scope"].split()):
                return self._say_not_allowed(client, sent["redirect_uri"], sent["state"])
        return super().form_valid(form)

    def _may_allow(self, client: Any, scopes: list[str]) -> bool:
        if not grant_policy.has_rules() or peer_of(client) is None:
            return True
        return grant_policy.allows(self.request.user, client, scopes, self.request)

    def _say_not_allowed(self, client: Any, redirect_uri: str, state: str) -> HttpResponse:
        """A page, not a redirect: the person learns of it here. From it the peer does (RFC 6749,
        section 4.1.2.1)."""
        back = ""
        if client.redirect_uri_allowed(redirect_uri):
            separator = "&" if "?" in redirect_uri else "?"
            denied = errors.AccessDeniedError(state=state).urlencoded
            back = self.redirect(f"{redirect_uri}{separator}{denied}", client)["Location"]
        return not_allowed(self.request, client.reciprocal_peer, back)

    def create_authorization_response(
        self, request: HttpRequest, scopes: str, credentials: dict[str, Any], allow: bool
    ) -> tuple[str, Any, Any, int]:
        client = get_application_model().objects.filter(client_id=credentials["client_id"]).first()
        if allow and request.method != "POST" and peer_of(client) is not None:
            raise _AskFirst
        uri, headers, body, status = super().create_authorization_response(
            request, scopes, credentials, allow
        )
        return scope_request.add_to_redirect(uri, client), headers, body, status

    def redirect(self, redirect_to: str, application: Any) -> HttpResponse:
        # DOT comes here with every authorization response, and names the issuer in those with a
        # code or a token alone.
        if oauth2_settings.COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS:
            issuer = oauth2_settings.oauth2_authorization_server_issuer(self.request)
            redirect_to = add_issuer(redirect_to, issuer)
        return super().redirect(redirect_to, application)
