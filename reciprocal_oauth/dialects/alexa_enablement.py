"""Hands over a code to Alexa: this site enables the skill for a person who started at this site.

The person has allowed this site, at Login with Amazon (LWA), to link accounts (scope
``alexa::skills:account_linking``). This site then sends its own code with the token of LWA::

    POST /v1/users/~current/skills/{skillId}/enablement HTTP/1.1
    Host: api.amazonalexa.com
    Authorization: Bearer ...

    {"stage": "live", "accountLinkRequest":
        {"redirectUri": "https://...", "authCode": "...", "type": "AUTH_CODE"}}

Before Alexa responds with 201, it redeems the code at the token endpoint of this site, and sends
``AcceptGrant`` if the skill has the permission to send events.

Sources, read in November 2026: developer.amazon.com, "Step 6: Enable Your Skill to Complete Account
Linking" and "Skill Enablement REST API Reference". Not verified: the errors other than 201.
"""

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from ..client import http, token_endpoint
from ..client.http import PeerResponse
from ..core import protocol
from ..core.peer_urls import origin_of
from ..models import Peer, Reason
from ..models.results import Accepted, Failed, HandoverResult, Retry, StaleToken
from ..secret import Secret

#: The hosts of the Alexa API, by region: North America; Europe and India; Far East and Australia.
HOSTS: Mapping[str, str] = {
    "NA": "https://api.amazonalexa.com",
    "EU": "https://api.eu.amazonalexa.com",
    "FE": "https://api.fe.amazonalexa.com",
}


class EnablementMixin:
    """The part of the dialect that sends codes. ``Peer.reciprocal_endpoint`` is the address of the
    enablement. If it is blank, people start at Alexa only.

    :cvar hosts: the hosts of the Alexa API, by region.
    :cvar token_address: the token endpoint of LWA.
    """

    hosts: ClassVar[Mapping[str, str]] = HOSTS
    token_address: ClassVar[str] = "https://api.amazon.com/auth/o2/token"  # noqa: S105
    #: LWA knows client secrets only.
    takes_assertions: ClassVar[bool] = False
    data: Mapping[str, str]

    @classmethod
    def can_start(cls, peer: Any) -> bool:
        """Return whether people can start at this site. They can if the peer has the address of
        LWA and the address of the enablement."""
        return bool(peer.authorization_endpoint and peer.reciprocal_endpoint)

    @classmethod
    def takes_codes(cls, peer: Any) -> bool:
        """Return whether the peer has an address of the enablement."""
        return bool(peer.reciprocal_endpoint)

    def may_send(self) -> bool:
        """Return whether the tokens of the link come from LWA's own page, and not from a hand-over:
        the tokens of a hand-over are for events, and the enablement needs another scope."""
        return "origin" not in self.data

    def send(self, peer: Peer, code: Secret, access_token: Secret) -> HandoverResult:
        """Enable the skill with ``code``, in the region of the account.

        :raises PeerUnreachable, AddressRefused, BadResponse: there is no usable response.
        """
        if not peer.reciprocal_endpoint:
            return Failed("the peer has no address of the enablement", Reason.NO_REVERSE)
        url = self._address(peer, access_token)
        link_request = {
            "redirectUri": (peer.application.redirect_uris.split() or [""])[0],
            "authCode": code.reveal(),
            "type": "AUTH_CODE",
        }
        members = {
            "stage": peer.options.get("stage", "live"),
            "accountLinkRequest": link_request,
        }
        regional = () if url == peer.reciprocal_endpoint else (url, peer.token_endpoint)
        return enablement_result(
            token_endpoint.post_json(peer, url, members, bearer=access_token, addresses=regional)
        )

    def _address(self, peer: Peer, access_token: Secret) -> str:
        """Return the address of the enablement in the region of the account. Alexa names the host
        of this region (``GET /v1/alexaApiEndpoint``). Only a host in :attr:`hosts` is used."""
        configured = peer.reciprocal_endpoint
        host = origin_of(configured)
        if host not in self.hosts.values():
            return configured
        token_endpoint.require_bound(peer, configured)
        response = http.call(
            "GET",
            f"{host}/v1/alexaApiEndpoint",
            headers={"Authorization": f"Bearer {access_token.reveal()}"},
        )
        members = token_endpoint.members_of(response.body) if response.is_success else {}
        named = members.get("endpoints")
        known = self.hosts.values() if isinstance(named, list) else ()
        own = next((each for each in known if urlsplit(each).netloc in (named or ())), host)
        return own + configured[len(host) :]


def enablement_result(response: PeerResponse) -> HandoverResult:
    """Return the result of a hand-over. A 400 means that Alexa could not redeem the code, so that
    the person has to connect again. No result pauses the peer: people can still start at Alexa."""
    refusal = token_endpoint.refusal(response)
    text = f"HTTP {response.status}"
    if response.is_success:
        return Accepted(detail=text)
    if response.status == 401:
        return StaleToken(f"{text} {protocol.INVALID_TOKEN}")
    if response.status < 400 or response.status in (408, 425, 429) or response.status >= 500:
        return Retry(text, Reason.UNREACHABLE, refusal.retry_after)
    return Failed(text, Reason.HANDOVER_REFUSED)
