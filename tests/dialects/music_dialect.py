"""The hand-over of an imaginary music service. The documentation shows this file."""

from reciprocal_oauth.client import token_endpoint
from reciprocal_oauth.dialects.ietf import IETFDialect, handover_result
from reciprocal_oauth.models import Peer
from reciprocal_oauth.models.results import Accepted, HandoverResult
from reciprocal_oauth.secret import Secret


class MusicDialect(IETFDialect):
    """Differs from the draft in the names of two parameters and in one status."""

    # The music service ends the whole account link when any of its tokens is revoked.
    revokes_replaced_tokens = False

    def send(self, peer: Peer, code: Secret, access_token: Secret) -> HandoverResult:
        response = token_endpoint.post(
            peer,
            peer.handover_endpoint,
            {
                "grant_type": "urn:music:handover",
                "partner_code": code.reveal(),
                "user_token": access_token.reveal(),
            },
        )
        # Undocumented: the status 409 means that it has accepted this code before.
        if response.status == 409:
            return Accepted(detail="HTTP 409")
        return handover_result(response)
