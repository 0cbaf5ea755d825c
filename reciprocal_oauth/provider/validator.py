"""A mixin for the site's validator class. Each method adds a rule to the DOT method of the same
name.

The mixin relies on these facts about DOT and oauthlib:

- oauthlib's request object also returns request parameters as attributes: if the attribute ``NAME``
  was not set, ``request.NAME`` is the value of the parameter ``NAME``, which the client has chosen.
  So this app reads the attributes that it has set itself from ``request.__dict__``.
- ``validate_code`` runs only at the token endpoint, after the client has authenticated. So this
  method alone may mark a request as the redemption of a reciprocal code.
- ``_save_bearer_token`` runs inside DOT's own transaction, for every grant type.
"""

import logging
from typing import Any

from oauth2_provider.models import get_grant_model
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749 import errors

from ..core import protocol
from ..core.database import atomic, tried_again
from ..links import incoming_access
from ..party_a import redemption
from ..party_b import scope_request
from . import token_revocation, token_rules, token_use
from .client_authentication import ClientAuthenticationMixin
from .code_redemption import (
    deleted_code_error,
    record_failure,
    redemption_of,
    require_proof,
    require_registered_redirect_uri,
    require_single_parameters,
    span_of,
)

logger = logging.getLogger("reciprocal_oauth.provider")


class ReciprocalValidatorMixin(ClientAuthenticationMixin):
    """Applies the rules for peers. :mod:`.composition` adds this mixin to the site's
    ``OAUTH2_VALIDATOR_CLASS``."""

    # The next methods are for party B: this site receives a reciprocal code from the peer.

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Request, *args: Any, **kw: Any
    ) -> bool:
        """Return whether the client may use the grant type. If not, the error is
        ``unauthorized_client`` (RFC 6749, section 5.2).

        Every client may use the reciprocal grant, unless the site's own validator refuses it. The
        function that stores the code (:func:`..party_b.receive.receive`) also checks that the
        client belongs to a peer.
        """
        try:
            return super().validate_grant_type(client_id, grant_type, client, request, *args, **kw)
        except (AssertionError, KeyError):
            # DOT raises one of these errors for every grant type that it does not know, such as the
            # reciprocal grant. If the site's own validator overrides the method and knows the
            # reciprocal grant, there is no error, and its result was returned above.
            return grant_type == protocol.GRANT_TYPE

    # The next methods are for party A: the peer redeems a reciprocal code at this site.

    def validate_code(
        self, client_id: str, code: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Return whether the client may redeem ``code`` (RFC 6749, section 4.1.3).

        For a reciprocal code, the rules of this app are checked first. Then DOT checks the code, as
        it does with every code.

        :raises CustomOAuth2Error: ``invalid_target`` if the client sends the parameter ``resource``
            with a reciprocal code (RFC 8707, section 2).
        """
        entry, redeeming = redemption.find_code(code, client), None
        if entry is not None:
            sent = {name for name, _ in request.decoded_body or [] if name}
            try:
                require_single_parameters(request)
                require_proof(client, request)
                redeeming = redemption.check_redeemable(entry, sent=sent)
                require_registered_redirect_uri(self, client_id, request)
                if "resource" in sent:
                    # The parameter names the server for which the client wants a token. But the
                    # person has consented only to access at this site (RFC 8707, section 2.2).
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
        """Delete the code, because codes are single-use (RFC 6749, section 4.1.2). Do nothing if
        this request has already deleted it."""
        if not request.__dict__.get("_code_is_spent"):
            super().invalidate_authorization_code(client_id, code, request, *args, **kwargs)
            request._code_is_spent = True

    def is_pkce_required(self, client_id: str, request: Request) -> bool:
        """Return whether PKCE is required. It is not required for a reciprocal code, because there
        was no authorization request that could contain a challenge (RFC 7636, section 4.3). It is
        not required either of a vendor that does not use PKCE."""
        if redemption_of(request) or not super().is_pkce_required(client_id, request):
            return False
        peer = incoming_access.peer_of(request.client)
        return peer is None or peer.sends_code_challenge

    def get_default_redirect_uri(
        self, client_id: str, request: Request, *args: Any, **kwargs: Any
    ) -> str:
        """Return the redirect URI to use if the request contains none (RFC 6749, section 3.1.2.3).

        A reciprocal code has no redirect URI, but DOT's row of the code (the ``Grant``) must
        contain one. So this app has stored a special value in the row. Return this value for a
        reciprocal code, because DOT compares it with the value in the row.
        """
        if redeeming := redemption_of(request):
            return redeeming.redirect_uri
        return super().get_default_redirect_uri(client_id, request, *args, **kwargs)

    # validate_code() has read the Grant (DOT's row of the code). In the next three methods, DOT
    # reads the Grant again. If another request has redeemed the code in the meantime, the Grant was
    # deleted, and DOT raises DoesNotExist.

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
        """Return whether the redirect URI is the same as in the authorization request (RFC 6749,
        section 4.1.3).

        :raises InvalidGrantError: another request has already redeemed the code.
        """
        if redeeming := redemption_of(request):
            # validate_code() has already checked the redirect URI in this request. There was no
            # authorization request, so let DOT compare the value in its row with itself.
            redirect_uri = redeeming.redirect_uri
        try:
            return super().confirm_redirect_uri(
                client_id, code, redirect_uri, client, request, *args, **kwargs
            )
        except get_grant_model().DoesNotExist:
            raise deleted_code_error(request) from None

    def get_code_challenge(self, code: str, request: Request) -> str | None:
        """Return the PKCE challenge of the code (RFC 7636, section 4.6).

        :raises InvalidGrantError: another request has already redeemed the code.
        """
        try:
            return super().get_code_challenge(code, request)
        except get_grant_model().DoesNotExist:
            raise deleted_code_error(request) from None

    def get_code_challenge_method(self, code: str, request: Request) -> str | None:
        """Return the PKCE challenge method of the code (RFC 7636, section 4.6).

        :raises InvalidGrantError: another request has already redeemed the code.
        """
        try:
            return super().get_code_challenge_method(code, request)
        except get_grant_model().DoesNotExist:
            raise deleted_code_error(request) from None

    # The next methods are for the authorization endpoint (RFC 6749, section 3.1).

    def validate_response_type(
        self,
        client_id: str,
        response_type: str,
        client: Any,
        request: Request,
        *args: Any,
        **kw: Any,
    ) -> bool:
        """Return whether the client may use the response type. A disabled peer may use none, and
        gets the error ``unauthorized_client`` (RFC 6749, section 4.1.2.1)."""
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
        """Return whether the client may request these scopes. If not, the error is
        ``invalid_scope`` (RFC 6749, section 4.1.2.1). A peer may request only the scopes in
        ``Peer.allowed_scope``."""
        if not token_rules.may_ask_for(client, scopes):
            return False
        return super().validate_scopes(client_id, scopes, client, request, *args, **kwargs)

    def validate_silent_login(self, request: Request) -> bool:
        """Return whether a person is signed in. oauthlib calls this method if a request contains
        ``prompt=none`` (OpenID Connect Core 1.0, section 3.1.2.1).

        DOT implements neither this method nor :meth:`validate_silent_authorization`. So both raise
        ``NotImplementedError`` for a client of no peer, unless the site's own validator has them.
        """
        if incoming_access.peer_of(request.client) is None:
            return super().validate_silent_login(request)
        return True  # DOT's view has already checked that a person is signed in.

    def validate_silent_authorization(self, request: Request) -> bool:
        """Refuse ``prompt=none`` from a peer, because the person must always see the consent page.

        The peer gets the error ``consent_required`` (OpenID Connect Core 1.0, section 3.1.2.6).
        """
        if incoming_access.peer_of(request.client) is None:
            return super().validate_silent_authorization(request)
        return False

    def save_authorization_code(
        self, client_id: str, code: Any, request: Request, *args: Any, **kwargs: Any
    ) -> None:
        """Save an authorization code (RFC 6749, section 4.1.2). If the client belongs to a peer,
        first check that the person has consented, and that the site's own rules (the setting
        ``MAY_AUTHORIZE``) allow the access.

        :raises ConsentRequired: the person has not consented.
        :raises AccessDeniedError: the site's own rules do not allow the access (RFC 6749, section
            4.1.2.1).
        """
        token_rules.require_posted_consent(request)
        if not token_rules.site_allows(request, request.scopes):
            raise errors.AccessDeniedError(request=request)
        super().save_authorization_code(client_id, code, request, *args, **kwargs)

    def get_default_scopes(
        self, client_id: str, request: Request, *args: Any, **kwargs: Any
    ) -> list[str]:
        """Return the scopes for a request that names no scope (RFC 6749, section 3.3). A peer gets
        only scopes that the administrator allows it."""
        default = super().get_default_scopes(client_id, request, *args, **kwargs)
        return token_rules.default_scopes(request.client, default)

    # The next methods save, check and revoke tokens.

    def save_bearer_token(self, token: Any, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Save the tokens of a response (RFC 6749, section 5.1). If the client belongs to a peer,
        save the tokens and all changes of the link in one transaction.

        Add the parameter ``reciprocal`` to the response to a peer (draft-ietf-oauth-reciprocal-04,
        section 2.1), except if the peer refreshes its tokens or redeems a reciprocal code.

        :raises InvalidGrantError: the rules for peers refuse the tokens; nothing is saved.
        """
        if incoming_access.peer_of(request.client) is None:
            return super().save_bearer_token(token, request, *args, **kwargs)
        save = super().save_bearer_token
        before = dict(token), dict(request.__dict__)

        @tried_again
        def save_all() -> Any:
            for now, then in zip((token, request.__dict__), before, strict=True):
                # If an earlier attempt was rolled back, it has still changed these two objects in
                # memory. Restore their values.
                now.clear()
                now.update(then)
            # DOT's own transaction is nested in this transaction. So if _require_our_rules() raises
            # an error, the tokens are not saved.
            with atomic():
                saved = save(token, request, *args, **kwargs)
                _require_our_rules(request)
            return saved

        try:
            with span_of(request):
                saved = save_all()
        except errors.InvalidGrantError:
            # The transaction was rolled back. The next two functions record the failure in their
            # own transactions.
            record_failure(redemption_of(request), token_rules.cause_of_refusal(request))
            token_rules.end_access_refused_by_site(request)
            raise
        # Add the parameter "reciprocal" to the dict token, from which DOT makes the response. The
        # draft allows the parameter in the responses of four grants (RFC 6749, sections 4.1.4,
        # 4.2.2, 4.3.3 and 4.4.3), but not in the response to a refresh. If the peer redeems a
        # reciprocal code, this site already has access at the peer, so do not ask for it.
        if request.grant_type != "refresh_token" and not redemption_of(request):
            token.update(scope_request.parameters(request.client))
        return saved

    def _save_bearer_token(self, token: Any, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Save the tokens under the rules of :mod:`.token_rules`. If a peer redeems an
        authorization code or a reciprocal code, delete the code in the same transaction."""
        # Set these attributes to None if nothing has set them. Otherwise oauthlib's request object
        # would return the request parameters with these names, which the client can choose.
        for name in ("user", "refresh_token_instance"):
            request.__dict__.setdefault(name, None)
        save = super()._save_bearer_token

        def save_and_spend() -> Any:
            saved = save(token, request, *args, **kwargs)
            code = request.__dict__.get("_valid_code")
            if code and incoming_access.peer_of(request.client):
                # Delete the code now, because DOT deletes it only after this transaction. Otherwise
                # two requests with the same code at the same time could both get tokens, but a code
                # must not be used more than once (RFC 6749, section 4.1.2).
                self.invalidate_authorization_code(request.client_id, code, request)
            return saved

        saved = token_rules.save_tokens(token, request, redemption_of(request), save_and_spend)
        request._is_saved_by_our_rules = True
        return saved

    def validate_refresh_token(
        self, refresh_token: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Return whether the client may use the refresh token (RFC 6749, section 6). For a peer's
        token, the peer must also be enabled, and the user must be active."""
        if not super().validate_refresh_token(refresh_token, client, request, *args, **kwargs):
            token_revocation.record_refused_refresh(refresh_token, client)
            return False
        return token_rules.may_hold_tokens(client, request.user)

    def validate_bearer_token(self, token: str, scopes: Any, request: Request) -> bool:
        """Return whether the resources of this site accept the access token (RFC 6750, section
        3.1)."""
        valid = super().validate_bearer_token(token, scopes, request)
        return valid and token_use.token_is_usable(self, scopes, request)

    def validate_jwt_bearer_token(self, token: str, scopes: Any, request: Request) -> bool:
        """Return whether the resources of this site accept an ID token as an access token.

        DOT accepts ID tokens in this way, although they only tell the client about an
        authentication (OpenID Connect Core 1.0, section 2). The ID tokens of a peer are refused,
        because they would stay valid after the link has ended.
        """
        if not super().validate_jwt_bearer_token(token, scopes, request):
            return False
        return incoming_access.peer_of(request.client) is None

    def revoke_token(
        self, token: str, token_type_hint: str, request: Request, *a: Any, **k: Any
    ) -> None:
        """Revoke a token, because its client asks for it (RFC 7009, section 2.1)."""
        revoke = super().revoke_token
        token_revocation.revoke_token(
            token, request.client, lambda: revoke(token, token_type_hint, request, *a, **k)
        )


def _require_our_rules(request: Request) -> None:
    """Check that :mod:`.token_rules` has saved the tokens, and has completed the redemption if
    there is one.

    The rules are applied in ``_save_bearer_token``. A future release of DOT could save tokens
    without a call of this method. The tokens would then have no limits, so refuse them.

    :raises InvalidGrantError: the tokens were saved without :mod:`.token_rules`.
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
