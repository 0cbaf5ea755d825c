"""Serializers for API responses about peers, and about the start of a connection."""

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.reverse import reverse

from ..core import scopes
from ..models import Peer
from ..presentation.next_step import knows_accounts
from ..presentation.peer_logo import logo_url


class AuthorizationSerializer(serializers.Serializer):
    """The URL at the peer to which the client sends the browser, to continue the connection."""

    authorization_url = serializers.URLField(
        help_text=_("Send the browser to this URL, only one time. Keep the URL secret.")
    )
    expires_in = serializers.IntegerField(help_text=_("Seconds until the URL expires."))


class StartUrlSerializer(serializers.Serializer):
    """The URL of this site that an app opens in the browser of the system."""

    url = serializers.URLField(
        help_text=_("Open this URL in the browser of the system, only one time.")
    )
    expires_in = serializers.IntegerField(help_text=_("Seconds until the URL expires."))


class PeerSerializer(serializers.ModelSerializer):
    """A peer: another site to which people can link their accounts."""

    homepage = serializers.CharField(help_text=_("May be empty."))
    description = serializers.CharField(help_text=_("What the peer is. May be empty."))
    logo_url = serializers.SerializerMethodField(
        help_text=_("The logo of the peer, at this site. Empty if there is none.")
    )
    policy_uri = serializers.CharField(help_text=_("The privacy policy of the peer. May be empty."))
    tos_uri = serializers.CharField(help_text=_("The terms of service of the peer. May be empty."))

    class Meta:
        model = Peer
        fields = [
            "slug",
            "name",
            "homepage",
            "description",
            "logo_url",
            "policy_uri",
            "tos_uri",
        ]

    def get_logo_url(self, peer: Peer) -> str:
        """Return the URL of the logo at this site, or ``""``."""
        path = logo_url(peer)
        return self.context["request"].build_absolute_uri(path) if path else ""


class OfferSerializer(PeerSerializer):
    """A peer that the person can connect."""

    is_linked = serializers.BooleanField(
        help_text=_("Whether the person has connected it already.")
    )
    is_paused = serializers.SerializerMethodField(
        help_text=_("Whether an administrator must fix a problem before people can connect.")
    )
    several_accounts = serializers.SerializerMethodField(
        help_text=_("Whether a person can connect several accounts at this peer.")
    )
    asks_for = serializers.SerializerMethodField(
        help_text=_("The scopes that this site requests at the peer.")
    )
    connect_url = serializers.SerializerMethodField(
        help_text=_("The URL to start a connection in the same browser, with a session.")
    )
    start_url = serializers.SerializerMethodField(
        help_text=_("The URL at which an app gets the page that starts a connection.")
    )

    class Meta(PeerSerializer.Meta):
        fields = [
            *PeerSerializer.Meta.fields,
            "is_linked",
            "is_paused",
            "several_accounts",
            "asks_for",
            "connect_url",
            "start_url",
        ]

    def get_is_paused(self, peer: Peer) -> bool:
        """Return whether delivery to the peer is paused."""
        return peer.paused_at is not None

    def get_several_accounts(self, peer: Peer) -> bool:
        """Return whether a person can connect several accounts at the peer."""
        return knows_accounts(peer)

    def get_asks_for(self, peer: Peer) -> list[str]:
        """Return the scopes that this site requests at the peer."""
        return scopes.split(peer.scope)

    def get_connect_url(self, peer: Peer) -> str:
        """Return the URL in this API that starts a connection to the peer."""
        return reverse(
            "reciprocal_oauth_api:connect", args=[peer.slug], request=self.context["request"]
        )

    def get_start_url(self, peer: Peer) -> str:
        """Return the URL in this API at which an app gets the page that starts a connection."""
        return reverse(
            "reciprocal_oauth_api:start", args=[peer.slug], request=self.context["request"]
        )
