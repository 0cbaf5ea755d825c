"""A mixin for the site's validator class: each method adds a rule to the method of DOT.

Facts about DOT and oauthlib on which this module is built:

- ``request.NAME`` of oauthlib falls back to the request parameter ``NAME``. So a client could set
  any attribute that is not set. We read our own attributes from ``request.__dict__``.
- ``validate_code`` runs only at the token endpoint, after client authentication. So only this
  method marks a request as the redemption of a reciprocal code.
- ``_save_bearer_token`` runs inside DOT's own transaction, for every grant type.
"""

import logging
from typing import TYPE_CHECKING, Any

from oauth2_provider.models import get_grant_model
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749 import errors

from ..core import protocol
from ..core.database import atomic, tried_again
from ..links import incoming_access
from ..party_a import redemption
from ..party_b import scope_request
from . import token_revocation, token_rules, token_use, verified_secrets
from .code_redemption import (
    deleted_code_error,
    record_failure,
    redemption_of,
    require_registered_redirect_uri,
    require_secret,
)

logger = logging.getLogger("reciprocal_oauth.provider")

#: RFC 8628, section 3.4.
_DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"

if TYPE_CHECKING:
    from oauth2_provider.oauth2_validators import OAuth2Validator as _Validator
else:
    _Validator = object


class ReciprocalValidatorMixin(_Validator):
    """Applies the rules for peers. :mod:`.composition` adds it to the ``OAUTH2_VALIDATOR_CLASS`` of
    the site."""

    # Party B receives a reciprocal code

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Request, *args: Any, **kw: Any
    ) -> bool:
        """Allow the reciprocal grant, unless the site's own validator refuses it.

        :returns: whether the client may use the grant type (RFC 6749, section 5.2:
            ``unauthorized_client``).
        """
        try:
            return super().validate_grant_type(client_id, grant_type, client, request, *args, **kw)
        except (AssertionError, KeyError):
            # DOT asserts that the grant type is in its own table, which has neither ours nor all
            # types of oauthlib. A site's own validator has already decided without an exception.
            return grant_type == protocol.GRANT_TYPE

    def _extract_basic_auth(self, request: Request) -> str | None:
        # The name of a scheme is case-insensitive (RFC 9110, section 11.1). DOT compares "Basic".
        scheme, _space, credentials = request.headers.get("HTTP_AUTHORIZATION", "").partition(" ")
        return credentials if credentials and scheme.lower() == "basic" else None

    def _authenticate_basic_auth(self, request: Request) -> bool:
        # DOT reads the charset of the credentials from this attribute. Unless it is set, a request
        # parameter could name an unknown charset, and the response would be a 500.
        request.encoding = None
        return super()._authenticate_basic_auth(request)

    def _authenticate_request_body(self, request: Request) -> bool:
        # "The client MUST NOT use more than one authentication method in each request" (RFC 6749,
        # section 2.3). After wrong Basic credentials, DOT tries the body: that costs a second hash,
        # or authenticates another client. A device needs no credentials (RFC 8628, section 3.4).
        is_second = request.headers.get("Authorization") and request.grant_type != _DEVICE_CODE
        if is_second and (request.grant_type == protocol.GRANT_TYPE or not request.client_secret):
            return False
        return super()._authenticate_request_body(request)

    def _check_secret(self, provided_secret: str, stored_secret: str) -> bool:
        return verified_secrets.matches(provided_secret, stored_secret, super()._check_secret)

    # Party A: the peer redeems a reciprocal code

    def validate_code(
        self, client_id: str, code: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Whether the client may redeem ``code`` (RFC 6749, section 4.1.3).

        Our rules decide first on a reciprocal code, then DOT decides on every code.

        :raises CustomOAuth2Error: ``invalid_target`` (RFC 8707, section 2): a resource was named.
        """
        entry, redeeming = redemption.find_code(code, client), None
        if entry is not None:
            sent = {name for name, _ in request.decoded_body or [] if name}
            try:
                require_secret(client, request)
                redeeming = redemption.check_redeemable(entry, sent=sent)
                require_registered_redirect_uri(self, client_id, request)
                if "resource" in sent:
                    # The person consented to access here only (RFC 8707, section 2.2).
                    raise redemption.Refused("a resource was named", "invalid_target")
            except redemption.Refused as refused:
                who = incoming_access.describe_client(client)
                logger.warning("A reciprocal code was refused: %s (%s)", refused, who)
                redemption.record_refusal(entry, str(refused))
                if refused.error != protocol.INVALID_GRANT:
                    raise errors.CustomOAuth2Error(refused.error, request=request) from None
                return False
        if not super().validate_code(client_id, code, client, request, *args, **kwargs):
            record_failure(redeeming, "the code has expired")
            return False
        request._reciprocal_redemption = redeeming
        request._valid_code = code
        return True

    def invalidate_authorization_code(
        self, client_id: str, code: str, request: Request, *args: Any, **kwargs: Any
    ) -> None:
        """Delete the code, once: codes are single-use (RFC 6749, section 4.1.2)."""
        if not request.__dict__.get("_code_is_spent"):
            super().invalidate_authorization_code(client_id, code, request, *args, **kwargs)
            request._code_is_spent = True

    def is_pkce_required(self, client_id: str, request: Request) -> bool:
        """Require no PKCE for a reciprocal code: there was no authorization request that could
        carry a challenge (RFC 7636, section 4.3)."""
        if redemption_of(request):
            return False
        return super().is_pkce_required(client_id, request)

    def get_default_redirect_uri(
        self, client_id: str, request: Request, *args: Any, **kwargs: Any
    ) -> str:
        """For a reciprocal code, the value that stands in its Grant instead of a redirect URI."""
        if redeeming := redemption_of(request):
            return redeeming.redirect_uri
        return super().get_default_redirect_uri(client_id, request, *args, **kwargs)

    # The next three methods of DOT read the Grant again. If another request has redeemed the code
    # meanwhile, the Grant is deleted, and DOT would raise DoesNotExist.

    def confirm_redirect_uri(
        self,
        client_id: str,
        code: str,
        redirect_uri: str,
        client: Any,
        request: Request,
        *args: Any,
        **kwargs: Any,
    ) -> bool:
        """Compare the redirect URI with the one that was authorized (RFC 6749, section 4.1.3).

        :raises InvalidGrantError: another request has redeemed the code meanwhile.
        """
        if redeeming := redemption_of(request):
            # There is none to compare with. validate_code() has checked the one that was sent.
            redirect_uri = redeeming.redirect_uri
        try:
            return super().confirm_redirect_uri(
                client_id, code, redirect_uri, client, request, *args, **kwargs
            )
        except get_grant_model().DoesNotExist:
            raise deleted_code_error(request) from None

    def get_code_challenge(self, code: str, request: Request) -> str | None:
        """The PKCE challenge of the code (RFC 7636, section 4.6).

        :raises InvalidGrantError: another request has redeemed the code meanwhile.
        """
        try:
            return super().get_code_challenge(code, request)
        except get_grant_model().DoesNotExist:
            raise deleted_code_error(request) from None

    def get_code_challenge_method(self, code: str, request: Request) -> str | None:
        """The PKCE challenge method of the code (RFC 7636, section 4.6).

        :raises InvalidGrantError: another request has redeemed the code meanwhile.
        """
        try:
            return super().get_code_challenge_method(code, request)
        except get_grant_model().DoesNotExist:
            raise deleted_code_error(request) from None

    # Authorization: no consent page for a disabled peer, or for more than the peer may hold

    def validate_response_type(
        self,
        client_id: str,
        response_type: str,
        client: Any,
        request: Request,
        *args: Any,
        **kw: Any,
    ) -> bool:
        """Refuse a disabled peer (RFC 6749, section 4.1.2.1: ``unauthorized_client``)."""
        if not token_rules.may_hold_tokens(client, None):
            return False
        return super().validate_response_type(
            client_id, response_type, client, request, *args, **kw
        )

    def validate_scopes(
        self,
        client_id: str,
        scopes: list[str],
        client: Any,
        request: Request,
        *args: Any,
        **kwargs: Any,
    ) -> bool:
        """Refuse a peer that requests more than it may hold (RFC 6749, section 4.1.2.1:
        ``invalid_scope``)."""
        if not token_rules.may_ask_for(client, scopes):
            return False
        return super().validate_scopes(client_id, scopes, client, request, *args, **kwargs)

    def validate_silent_login(self, request: Request) -> bool:
        """Whether a person is signed in, for a peer's ``prompt=none`` (OpenID Connect Core 1.0,
        section 3.1.2.1). DOT implements neither this method nor the next one: a 500."""
        if incoming_access.peer_of(request.client) is None:
            return super().validate_silent_login(request)
        return True  # DOT's view has checked it.

    def validate_silent_authorization(self, request: Request) -> bool:
        """Refuse a peer's ``prompt=none``: the person must always see the consent page.

        The peer gets ``consent_required`` (OpenID Connect Core 1.0, section 3.1.2.6).
        """
        if incoming_access.peer_of(request.client) is None:
            return super().validate_silent_authorization(request)
        return False

    def save_authorization_code(
        self, client_id: str, code: Any, request: Request, *args: Any, **kwargs: Any
    ) -> None:
        """Save an authorization code (RFC 6749, section 4.1.2), unless our rules refuse.

        :raises ConsentRequired: the person did not see the consent page.
        :raises AccessDeniedError: the rules of the site refuse (RFC 6749, section 4.1.2.1).
        """
        token_rules.require_posted_consent(request)
        if not token_rules.site_allows(request, request.scopes):
            raise errors.AccessDeniedError(request=request)
        super().save_authorization_code(client_id, code, request, *args, **kwargs)

    def get_default_scopes(
        self, client_id: str, request: Request, *args: Any, **kwargs: Any
    ) -> list[str]:
        """The scopes for a request that names none (RFC 6749, section 3.3)."""
        default = super().get_default_scopes(client_id, request, *args, **kwargs)
        return token_rules.default_scopes(request.client, default)

    # Tokens

    def save_bearer_token(self, token: Any, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Save the tokens of a response (RFC 6749, section 5.1), in one transaction for a peer.

        Adds ``reciprocal`` to the response (draft-ietf-oauth-reciprocal-04, section 2.1).

        :raises InvalidGrantError: our rules refuse; nothing is saved.
        """
        if incoming_access.peer_of(request.client) is None:
            return super().save_bearer_token(token, request, *args, **kwargs)
        save = super().save_bearer_token
        before = dict(token), dict(request.__dict__)

        @tried_again
        def save_all() -> Any:
            for now, then in zip((token, request.__dict__), before, strict=True):
                # Undo the changes of an earlier try, whose transaction was rolled back.
                now.clear()
                now.update(then)
            # DOT's own transaction is nested in this one, and is rolled back with it.
            with atomic():
                saved = save(token, request, *args, **kwargs)
                _require_our_rules(request)
            return saved

        try:
            saved = save_all()
        except errors.InvalidGrantError:
            # The transaction was rolled back; these two write in transactions of their own.
            record_failure(redemption_of(request), token_rules.cause_of_refusal(request))
            token_rules.end_access_refused_by_site(request)
            raise
        # The response is made from this dict. The draft names the responses of four grants (RFC
        # 6749, sections 4.1.4, 4.2.2, 4.3.3 and 4.4.3): not those of a refresh. A peer that redeems
        # a reciprocal code has already been asked.
        if request.grant_type != "refresh_token" and not redemption_of(request):
            token.update(scope_request.parameters(request.client))
        return saved

    def _save_bearer_token(self, token: Any, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Save the tokens under our rules, and delete a peer's code in the same transaction."""
        # Set these two, so that no request parameter of that name is read instead.
        for name in ("user", "refresh_token_instance"):
            request.__dict__.setdefault(name, None)
        save = super()._save_bearer_token

        def save_and_spend() -> Any:
            saved = save(token, request, *args, **kwargs)
            code = request.__dict__.get("_valid_code")
            if code and incoming_access.peer_of(request.client):
                # DOT deletes the code after this transaction. Two redemptions at the same moment
                # would both create tokens and links (RFC 6749, section 4.1.2: once only).
                self.invalidate_authorization_code(request.client_id, code, request)
            return saved

        saved = token_rules.save_tokens(token, request, redemption_of(request), save_and_spend)
        request._is_saved_by_our_rules = True
        return saved

    def validate_refresh_token(
        self, refresh_token: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Whether the client may use the refresh token (RFC 6749, section 6); a peer needs to be
        enabled, and its user active."""
        if not super().validate_refresh_token(refresh_token, client, request, *args, **kwargs):
            token_revocation.record_refused_refresh(refresh_token, client)
            return False
        return token_rules.may_hold_tokens(client, request.user)

    def validate_bearer_token(self, token: str, scopes: Any, request: Request) -> bool:
        """Whether a resource accepts the access token (RFC 6750, section 3.1)."""
        valid = super().validate_bearer_token(token, scopes, request)
        return valid and token_use.token_is_usable(self, scopes, request)

    def validate_jwt_bearer_token(self, token: str, scopes: Any, request: Request) -> bool:
        """Refuse a peer's ID token as an access token: it would stay valid when its link has ended.

        DOT accepts ID tokens at resources, although they tell the client about an authentication
        (OpenID Connect Core 1.0, section 2).
        """
        if not super().validate_jwt_bearer_token(token, scopes, request):
            return False
        return incoming_access.peer_of(request.client) is None

    def revoke_token(
        self, token: str, token_type_hint: str, request: Request, *a: Any, **k: Any
    ) -> None:
        """Revoke a token on request of its client (RFC 7009, section 2.1)."""
        revoke = super().revoke_token
        token_revocation.revoke_token(
            token, request.client, lambda: revoke(token, token_type_hint, request, *a, **k)
        )


def _require_our_rules(request: Request) -> None:
    """Require that :mod:`.token_rules` has saved the tokens, and completed a redemption.

    A release of DOT may save tokens without calling ``_save_bearer_token``. Peers then get no
    tokens, rather than tokens without limits.

    :raises InvalidGrantError: the tokens were saved in another way.
    """
    redeeming = redemption_of(request)
    is_complete = redeeming is None or redeeming.is_complete
    if request.__dict__.get("_is_saved_by_our_rules") and is_complete:
        return
    logger.error(
        "Tokens for %s were not issued: the installed django-oauth-toolkit does not save them "
        "where reciprocal_oauth limits them. Run manage.py check.",
        incoming_access.describe_client(request.client),
    )
    raise errors.InvalidGrantError(request=request)
