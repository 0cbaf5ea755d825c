"""A vendor as party A, for which the response to a hand-over is all that counts. The site where
people start plays it, with the tables of our own party A.

Whatever is not success means that the code is void: tokens that were issued for it are revoked, and
the next code is a new one. The other site, which must tell the truth in its response, is ours.
"""

from contextlib import suppress

from reciprocal_oauth.client import token_endpoint
from reciprocal_oauth.core.database import atomic, tried_again
from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.dialects.ietf import handover_result
from reciprocal_oauth.exceptions import PeerError
from reciprocal_oauth.links import incoming_access, lifecycle
from reciprocal_oauth.models import Link, Peer, Reason, ReciprocalCode
from reciprocal_oauth.models.results import Accepted, HandoverResult, Retry
from reciprocal_oauth.party_a import redemption
from reciprocal_oauth.secret import Secret

from ..dialects.ietf_first import IETFFirstDialect


class VendorDialect(IETFFirstDialect):
    def send(self, peer: Peer, code: Secret, access_token: Secret) -> HandoverResult:
        try:
            result = self._send(peer, code, access_token)
        except PeerError:
            _make_void(code)
            raise
        if not isinstance(result, Accepted):
            _make_void(code)
        return result

    def _send(self, peer: Peer, code: Secret, access_token: Secret) -> HandoverResult:
        """Send the code. Unlike the draft, this vendor looks at the body of the response: a proxy
        can have put a page with status 200 in its place."""
        response = token_endpoint.post(
            peer,
            peer.handover_endpoint,
            {
                "grant_type": GRANT_TYPE,
                "code": code.reveal(),
                "client_id": peer.client_id,
                "access_token": access_token.reveal(),
            },
        )
        if response.is_success and response.body != b"{}":
            return Retry("success without its body", Reason.BAD_RESPONSE)
        return handover_result(response)


@tried_again
def _make_void(code: Secret) -> None:
    code_hash = hash_of(code.reveal())
    with suppress(ReciprocalCode.DoesNotExist, Link.DoesNotExist), atomic():
        entry = ReciprocalCode.objects.select_related("link").get(code_hash=code_hash)
        incoming_access.revoke_codes(lifecycle.lock_link(entry.link_id))
        entry.refresh_from_db()
        with suppress(redemption.Refused):
            # As if the code had come again: RFC 6749, section 4.1.2.
            redemption.check_redeemable(entry, sent=set())
