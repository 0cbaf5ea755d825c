"""The fields of a peer that say how this site and the peer authenticate at each other (RFC 6749,
section 2.3; RFC 7521, section 4.2), and what the peer has said about its scopes."""

from typing import Any

from django.db import models
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from ..core import scopes


class AuthMethod(models.TextChoices):
    """The ways in which this site can authenticate at the token endpoint of the peer (RFC 6749,
    section 2.3.1)."""

    BASIC = "client_secret_basic", _("HTTP Basic")
    POST = "client_secret_post", _("In the request body")
    #: RFC 7523, section 2.2; OpenID Connect Core 1.0, section 9.
    PRIVATE_KEY_JWT = "private_key_jwt", _("Signed with the key of this site")


class PeerAuthentication(models.TextChoices):
    """The ways in which a peer can authenticate at this site."""

    SECRET = "secret", _("With a client secret")
    PRIVATE_KEY_JWT = "private_key_jwt", _("Signed with a key of the peer")


class SigningAlgorithm(models.TextChoices):
    """The algorithms with which this site can sign (RFC 7518, section 3.1)."""

    ES256 = "ES256", "ES256"
    RS256 = "RS256", "RS256"


class KeyFields(models.Model):
    """The fields of the model ``Peer`` for client authentication, and for what the peer has said
    about its scopes."""

    slug: Any

    token_endpoint_auth_method = models.CharField(
        _("authentication method"),
        max_length=30,
        choices=AuthMethod.choices,
        default=AuthMethod.BASIC,
        help_text=_(
            "How this site authenticates at the token endpoint of the peer. A site that signs with "
            "its key needs no client secret: the peer reads the public keys of this site."
        ),
    )
    #: How the peer proves that it is the client of this site (OpenID Connect Core 1.0, section 9).
    authenticates_here_by = models.CharField(
        _("authentication of the peer at this site"),
        max_length=30,
        choices=PeerAuthentication.choices,
        default=PeerAuthentication.SECRET,
        help_text=_(
            "How the peer proves who it is at the token endpoint of this site. With a key, this "
            "site refuses the client secret of the peer."
        ),
    )
    #: The URL of the public keys of the peer (RFC 7591, section 2).
    jwks_uri = models.CharField(
        _("address of the public keys of the peer"),
        max_length=500,
        blank=True,
        help_text=_("A JSON Web Key Set. Needed if the peer authenticates with a key."),
    )
    #: The value of ``aud`` in the assertions of this site (RFC 7523, section 3). Blank: the issuer.
    assertion_audience = models.CharField(
        _("audience of signed assertions"),
        max_length=500,
        blank=True,
        help_text=_(
            "Leave this blank: the audience is then the issuer of the peer. Some servers accept "
            "only another value, such as the address of their token endpoint. An address of a "
            "stranger here would let the stranger use what this site signs."
        ),
    )
    #: The algorithm in the header of the assertions of this site (RFC 7515, section 4.1.1).
    assertion_algorithm = models.CharField(
        _("algorithm of signed assertions"),
        max_length=10,
        choices=SigningAlgorithm.choices,
        default=SigningAlgorithm.ES256,
        help_text=_("RS256 is only for a peer that does not know ES256."),
    )
    #: What the scopes of the peer mean, in the words of the peer: for each scope, a text for each
    #: language tag. The tag "" is for the language that the peer names none for.
    scope_words = models.JSONField(
        _("words for the scopes of the peer"), default=dict, blank=True, editable=False
    )

    class Meta:
        abstract = True

    @property
    def uses_key_here(self) -> bool:
        """Return whether the peer authenticates at this site with a key, so that its client secret
        is refused."""
        return self.authenticates_here_by == PeerAuthentication.PRIVATE_KEY_JWT

    def words_of(self, language: str) -> dict[str, str]:
        """Return what the scopes of the peer mean, by scope, in the words of the peer.

        :param language: a language tag such as ``de-at``. If the peer has no text in this language,
            the text without a language tag is used.
        """
        tags = (language, language.partition("-")[0], "")
        words: dict[str, Any] = self.scope_words if isinstance(self.scope_words, dict) else {}
        found = {}
        for scope, texts in words.items():
            text = next((texts[tag] for tag in tags if texts.get(tag)), None)
            if text:
                found[scope] = text
        return found

    def described_scopes(self) -> dict[str, str]:
        """Return what the scopes of the peer mean, by scope, in the language of the user. The
        texts are from the setting ``PEER_SCOPES``. If it has no text for a scope, the text is in
        the words of the peer."""
        ours = scopes.described_at(self.slug)
        set_here = {scope: str(ours[scope]) for scope in ours if scopes.has_words(scope, ours)}
        return {**self.words_of(get_language() or ""), **set_here}

    def is_in_its_words(self, scope: str) -> bool:
        """Return whether the text for ``scope`` in :meth:`described_scopes` was written by the
        peer."""
        ours = scopes.described_at(self.slug)
        return not scopes.has_words(scope, ours) and scope in self.words_of(get_language() or "")
