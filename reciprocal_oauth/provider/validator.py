"""Hooks over the site's validator class.

Facts about DOT and oauthlib that decide what stands here:

- oauthlib reads request attributes from any parameter of that name, so the mark of a reciprocal
  redemption is a real attribute, read from ``__dict__`` and checked by type.
- ``validate_code`` runs at the token endpoint only, after client authentication: the one place to
  set the mark.
- ``_save_bearer_token`` runs inside DOT's own transaction, for every grant type.
"""

import logging
from typing import TYPE_CHECKING, Any

from oauth2_provider.models import get_access_token_model, get_grant_model
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749 import errors

from ..core import protocol
from ..core.database import atomic, tried_again
from ..links import incoming_access
from ..party_a import redemption
from ..party_a.redemption import Redemption
from ..party_b import scope_request
from . import token_rules, verified_secrets

logger = logging.getLogger("reciprocal_oauth.provider")

#: RFC 8628, section 3.4.
_DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"

if TYPE_CHECKING:
    from oauth2_provider.oauth2_validators import OAuth2Validator as _Validator
else:
    _Validator = object


class ReciprocalValidatorMixin(_Validator):
    """Composed with the site's ``OAUTH2_VALIDATOR_CLASS`` by :mod:`.composition`."""

    # Party B: the reciprocal grant

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Request, *args: Any, **kw: Any
    ) -> bool:
        try:
            return super().validate_grant_type(client_id, grant_type, client, request, *args, **kw)
        except (AssertionError, KeyError):
            # DOT asserts that the type is in its own table, where neither ours stands nor all that
            # oauthlib has. A site's validator that has an opinion on ours has been heard.
            return grant_type == protocol.GRANT_TYPE

    def _extract_basic_auth(self, request: Request) -> str | None:
        # RFC 9110, section 11.1: the name of a scheme is case-insensitive. DOT knows one spelling.
        scheme, _space, credentials = request.headers.get("HTTP_AUTHORIZATION", "").partition(" ")
        return credentials if credentials and scheme.lower() == "basic" else None

    def _authenticate_basic_auth(self, request: Request) -> bool:
        # DOT reads the charset of the credentials from this attribute, and oauthlib lets a
        # parameter stand in for it: an unknown charset would be an error 500.
        request.encoding = None
        return super()._authenticate_basic_auth(request)

    def _authenticate_request_body(self, request: Request) -> bool:
        # DOT tries the body when the Basic credentials were wrong: a second run of the hasher, for
        # nothing where no secret is there, else a login as somebody else. RFC 6749, section 2.3:
        # one mechanism per request. A device needs none at all.
        is_second = request.headers.get("Authorization") and request.grant_type != _DEVICE_CODE
        if is_second and (request.grant_type == protocol.GRANT_TYPE or not request.client_secret):
            return False
        return super()._authenticate_request_body(request)

    def _check_secret(self, provided_secret: str, stored_secret: str) -> bool:
        return verified_secrets.matches(provided_secret, stored_secret, super()._check_secret)

    # Party A: a reciprocal code is redeemed

    def validate_code(
        self, client_id: str, code: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        entry, mark = redemption.recognise(code, client), None
        if entry is not None:
            sent = {name for name, _ in request.decoded_body or [] if name}
            try:
                _require_a_secret(client, request)
                mark = redemption.check(entry, sent=sent)
                _require_own_redirect_uri(self, client_id, request)
                if "resource" in sent:
                    # Nobody was asked about any: the person allowed something here, no other
                    # server (RFC 8707, section 2.2).
                    raise redemption.Refused("a resource was named", "invalid_target")
            except redemption.Refused as refused:
                who = incoming_access.describe_client(client)
                logger.warning("A reciprocal code was refused: %s (%s)", refused, who)
                redemption.note_refusal(entry, str(refused))
                if refused.error != protocol.INVALID_GRANT:
                    raise errors.CustomOAuth2Error(refused.error, request=request) from None
                return False
        if not super().validate_code(client_id, code, client, request, *args, **kwargs):
            _come_to_nothing(mark, "the code has expired")
            return False
        request._reciprocal_redemption = mark
        request._valid_code = code
        return True

    def invalidate_authorization_code(
        self, client_id: str, code: str, request: Request, *args: Any, **kwargs: Any
    ) -> None:
        if not request.__dict__.get("_code_is_spent"):
            super().invalidate_authorization_code(client_id, code, request, *args, **kwargs)
            request._code_is_spent = True

    def is_pkce_required(self, client_id: str, request: Request) -> bool:
        if redemption_of(request):
            return False
        return super().is_pkce_required(client_id, request)

    def get_default_redirect_uri(
        self, client_id: str, request: Request, *args: Any, **kwargs: Any
    ) -> str:
        if mark := redemption_of(request):
            return mark.redirect_uri
        return super().get_default_redirect_uri(client_id, request, *args, **kwargs)

    # DOT looks for the Grant three times more, and another request may redeem the code meanwhile.

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
        if mark := redemption_of(request):
            redirect_uri = mark.redirect_uri  # What was sent has been looked at.
        try:
            return super().confirm_redirect_uri(
                client_id, code, redirect_uri, client, request, *args, **kwargs
            )
        except get_grant_model().DoesNotExist:
            raise _gone(request) from None

    def get_code_challenge(self, code: str, request: Request) -> str | None:
        try:
            return super().get_code_challenge(code, request)
        except get_grant_model().DoesNotExist:
            raise _gone(request) from None

    def get_code_challenge_method(self, code: str, request: Request) -> str | None:
        try:
            return super().get_code_challenge_method(code, request)
        except get_grant_model().DoesNotExist:
            raise _gone(request) from None

    # Authorization: nobody is asked to consent to a disabled peer, or to more than it may hold

    def validate_response_type(
        self,
        client_id: str,
        response_type: str,
        client: Any,
        request: Request,
        *args: Any,
        **kw: Any,
    ) -> bool:
        if not token_rules.may_be_used(client, None):
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
        if not token_rules.may_ask_for(client, scopes):
            return False
        return super().validate_scopes(client_id, scopes, client, request, *args, **kwargs)

    def validate_silent_login(self, request: Request) -> bool:
        # oauthlib asks two questions about ``prompt=none``; DOT answers neither: an error 500.
        if incoming_access.peer_of(request.client) is None:
            return super().validate_silent_login(request)
        return True  # DOT's view has made sure.

    def validate_silent_authorization(self, request: Request) -> bool:
        if incoming_access.peer_of(request.client) is None:
            return super().validate_silent_authorization(request)
        return False  # OpenID Connect Core 1.0, section 3.1.2.6: consent_required.

    def save_authorization_code(
        self, client_id: str, code: Any, request: Request, *args: Any, **kwargs: Any
    ) -> None:
        token_rules.require_an_answer(request)
        if not token_rules.site_allows(request, request.scopes):
            raise errors.AccessDeniedError(request=request)
        super().save_authorization_code(client_id, code, request, *args, **kwargs)

    def get_default_scopes(
        self, client_id: str, request: Request, *args: Any, **kwargs: Any
    ) -> list[str]:
        default = super().get_default_scopes(client_id, request, *args, **kwargs)
        return token_rules.default_scopes(request.client, default)

    # Tokens

    def save_bearer_token(self, token: Any, request: Request, *args: Any, **kwargs: Any) -> Any:
        if incoming_access.peer_of(request.client) is None:
            return super().save_bearer_token(token, request, *args, **kwargs)
        save = super().save_bearer_token
        before = dict(token), dict(request.__dict__)

        @tried_again
        def save_all() -> Any:
            for now, then in zip((token, request.__dict__), before, strict=True):
                # A try that was undone has left its marks, on a token that exists nowhere.
                now.clear()
                now.update(then)
            # DOT has a transaction of its own within; what it saved goes with this one.
            with atomic():
                saved = save(token, request, *args, **kwargs)
                _require_our_rules(request)
            return saved

        try:
            saved = save_all()
        except errors.InvalidGrantError:
            # Outside of the transaction.
            _come_to_nothing(redemption_of(request), token_rules.cause_of_refusal(request))
            token_rules.end_what_the_site_refuses(request)
            raise
        # The response is made from the same dict. Not for refreshed tokens (the draft names
        # RFC 6749 sections 4.1.4, 4.2.2, 4.3.3 and 4.4.3), nor where the peer redeems the reverse.
        if request.grant_type != "refresh_token" and not redemption_of(request):
            token.update(scope_request.parameters(request.client))
        return saved

    def _save_bearer_token(self, token: Any, request: Request, *args: Any, **kwargs: Any) -> Any:
        # oauthlib lets a parameter stand in for an attribute of that name which is not set.
        for name in ("user", "refresh_token_instance"):
            request.__dict__.setdefault(name, None)
        save = super()._save_bearer_token

        def save_and_spend() -> Any:
            saved = save(token, request, *args, **kwargs)
            code = request.__dict__.get("_valid_code")
            if code and incoming_access.peer_of(request.client):
                # DOT spends the code after this transaction: of two redemptions at the same moment
                # both would leave tokens, and links.
                self.invalidate_authorization_code(request.client_id, code, request)
            return saved

        saved = token_rules.save(token, request, redemption_of(request), save_and_spend)
        request._is_saved_by_our_rules = True
        return saved

    def validate_refresh_token(
        self, refresh_token: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        if not super().validate_refresh_token(refresh_token, client, request, *args, **kwargs):
            token_rules.note_refusal(refresh_token, client)
            return False
        return token_rules.may_be_used(client, request.user)

    def validate_bearer_token(self, token: str, scopes: Any, request: Request) -> bool:
        valid = super().validate_bearer_token(token, scopes, request)
        return valid and is_in_force(self, scopes, request)

    def validate_jwt_bearer_token(self, token: str, scopes: Any, request: Request) -> bool:
        # DOT takes an ID token for an access token. A peer's would outlive the end of its link.
        if not super().validate_jwt_bearer_token(token, scopes, request):
            return False
        return incoming_access.peer_of(request.client) is None

    def revoke_token(
        self, token: str, token_type_hint: str, request: Request, *a: Any, **k: Any
    ) -> None:
        revoke = super().revoke_token
        token_rules.revoke(
            token, request.client, lambda: revoke(token, token_type_hint, request, *a, **k)
        )


def _gone(request: Request) -> errors.InvalidGrantError:
    _come_to_nothing(redemption_of(request), "the code is gone")
    return errors.InvalidGrantError(request=request)


def _come_to_nothing(mark: Redemption | None, cause: str) -> None:
    if mark is not None:
        redemption.come_to_nothing(mark, cause)


def _require_our_rules(request: Request) -> None:
    """A peer's tokens are saved by :mod:`.peer_tokens`, and a reciprocal code is spent in the same
    step. Where a release of DOT no longer comes by there, no tokens are issued to peers.

    :raises InvalidGrantError: it did not.
    """
    mark = redemption_of(request)
    if request.__dict__.get("_is_saved_by_our_rules") and (mark is None or mark.is_complete):
        return
    logger.error(
        "Tokens for %s were not issued: the installed django-oauth-toolkit does not save them "
        "where reciprocal_oauth limits them. Run manage.py check.",
        incoming_access.describe_client(request.client),
    )
    raise errors.InvalidGrantError(request=request)


def _require_a_secret(client: Any, request: Request) -> None:
    """Without PKCE the client's secret is all that protects the code, and DOT lets a public client
    pass without one, and a confidential one whose stored secret is the hash of nothing.

    :raises Refused: the client does not prove who it is.
    """
    if client.client_type != client.CLIENT_CONFIDENTIAL:
        raise redemption.Refused("the client is not confidential")
    if not request.headers.get("Authorization") and not request.client_secret:
        raise redemption.Refused("no secret was sent")


def _require_own_redirect_uri(validator: Any, client_id: str, request: Request) -> None:
    """Client libraries send one with every code. There was no redirect that it could be
    compared with (RFC 6749, section 4.1.3), but it must be one of the client's.

    :raises Refused: it is not.
    """
    uri = request.redirect_uri
    try:
        if uri is None or validator.validate_redirect_uri(client_id, uri, request):
            return
    except ValueError:
        pass  # It cannot be read as a URL.
    raise redemption.Refused("redirect_uri is not one of the client's")


def is_in_force(validator: Any, scopes: Any, request: Request) -> bool:
    """Whether the access token that DOT has just found valid may be used for ``scopes``, as far as
    its peer, its user and their link are concerned. If not, ``request.oauth2_error`` says why."""
    access_token = request.__dict__.get("access_token")
    if not isinstance(access_token, get_access_token_model()):
        return True  # A validator of the site's own knows tokens that have no row.
    if request.__dict__.get("_is_in_force") is access_token:
        return True  # The stock class and the composed one both ask, for the same request.
    if incoming_access.is_registration_token(access_token) or (
        not token_rules.limit_to_what_is_allowed_now(access_token)
    ):
        validator._set_oauth2_error_on_request(request, None, scopes)
        return False
    if not access_token.allow_scopes(scopes):
        validator._set_oauth2_error_on_request(request, access_token, scopes)
        return False
    request.scopes = list(access_token.scopes)
    request._is_in_force = access_token
    return True


def redemption_of(request: Request) -> Redemption | None:
    """The mark of a request that redeems a reciprocal code. A parameter cannot stand in for it."""
    mark = request.__dict__.get("_reciprocal_redemption")
    return mark if isinstance(mark, Redemption) else None
