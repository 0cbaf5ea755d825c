"""The dialect ``google``: Linked Account Sign-In of Google Account Linking.

Google sends a code as the draft says, but expects other errors, and takes status 200 as "the code
is redeemed". The token response contains an ID token. Google also tells the fulfilment URL of a
smart home integration that a person has ended the link (the intent ``DISCONNECT``).

Sources, read in November 2026: "Linked Account Sign-In"
(developer.android.com/identity/legacy/one-tap/linked-account-signin), "action.devices.DISCONNECT"
(developers.home.google.com/cloud-to-cloud/intents/disconnect).

Not verified: how long Google waits, whether it tries again, and the revocation of tokens.

Not implemented: sign-in with an assertion ("streamlined linking"), and telling Google that the link
was ended at this site (RISC).
"""

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse

from ..core import protocol
from ..exceptions import Cause, HandoverRefused
from ..models import Peer, Reason
from ..models.results import Failed, HandoverResult
from ..secret import Secret
from . import json_body
from .base import Notice, UnlinkNotice
from .bearer import CHALLENGE, bearer_token
from .ietf import HEADERS, IETFDialect

_INTERNAL_ERROR = "internal_error"
#: The intent of the message that the person has ended the link at Google.
_DISCONNECT = "action.devices.DISCONNECT"
#: The status and the error code for each cause, as the page of Google lists them.
_ANSWERS: Mapping[Cause, tuple[int, str]] = {
    Cause.SHAPE: (400, protocol.INVALID_REQUEST),
    Cause.GRANT: (400, protocol.INVALID_REQUEST),
    Cause.CLIENT: (401, protocol.INVALID_REQUEST),
    Cause.TOKEN_UNKNOWN: (401, protocol.INVALID_TOKEN),
    Cause.TOKEN_EXPIRED: (401, protocol.INVALID_TOKEN),
    Cause.CODE: (500, _INTERNAL_ERROR),
    Cause.BUSY: (500, _INTERNAL_ERROR),
    Cause.OFF: (500, _INTERNAL_ERROR),
}


class GoogleDialect(IETFDialect):
    """The dialect of Google Account Linking. A person always starts at Google, and Google accepts
    no codes of this site."""

    redeems_first = True
    # Google's page for this site has an input for a client secret, and none for keys.
    takes_assertions = False
    reads_id_token = True
    # Some ID tokens of Google name the issuer without its scheme.
    other_issuers = ("accounts.google.com",)
    # It can be the client ID of the site's Android app. Google's page does not say which it is.
    accepts_other_azp = True
    # Without a client ID of this site, Google sends no codes.
    optional_fields = frozenset(
        {"authorization_endpoint", "token_endpoint", "client_id", "client_secret"}
    )
    # Google can send a refresh token again if it did not get the response.
    grace_seconds = 120
    sends_code_challenge = False
    # Google revokes everything that the person has allowed the site, not only the one token.
    revokes_replaced_tokens = False

    @classmethod
    def can_start(cls, peer: Any) -> bool:
        """Return False: a person links the accounts in an app of Google."""
        return False

    @classmethod
    def takes_codes(cls, peer: Any) -> bool:
        """Return False: Google gets its access in the authorization code grant."""
        return False

    def send(self, peer: Peer, code: Secret, access_token: Secret) -> HandoverResult:
        """Send nothing, because Google accepts no codes."""
        return Failed("Google accepts no codes, so nothing was sent.", Reason.NO_REVERSE)

    def error(self, refused: HandoverRefused, request: HttpRequest) -> HttpResponse:
        """Return the response that Google documents for the cause of the refusal. Its page calls
        the header of a refused token ``WWW-Authentication``; RFC 9110, section 11.6.1, defines
        ``WWW-Authenticate``."""
        status, error = _ANSWERS[refused.cause]
        response = HttpResponse(json.dumps({"error": error}), status=status, headers=dict(HEADERS))
        if error == protocol.INVALID_TOKEN:
            response["WWW-Authenticate"] = CHALLENGE
        if refused.retry_after is not None:
            response["Retry-After"] = str(refused.retry_after)
        return response

    def notice(self, request: HttpRequest) -> Notice | None:
        """Return the notice that the person has ended the link at Google, if the request is the
        intent ``DISCONNECT``. The access token is in the ``Authorization`` header.

        :raises HandoverRefused: the request has no access token.
        """
        inputs = json_body.peek(request).get("inputs")
        if not isinstance(inputs, list):
            return None
        if not any(isinstance(each, dict) and each.get("intent") == _DISCONNECT for each in inputs):
            return None
        return UnlinkNotice(bearer_token(request))
