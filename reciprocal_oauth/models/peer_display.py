"""The fields of a peer that people see: what it is, its logo and policies, and which account of it
they have connected."""

from django.core.validators import URLValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from .base import BaseModel


class DisplayFields(models.Model):
    """The fields of the model ``Peer`` that describe the peer to people. The names are those of RFC
    7591, section 2; ``description`` is not in that document."""

    description = models.CharField(
        _("description"),
        max_length=500,
        blank=True,
        help_text=_("One or two sentences that say to people what they can do with this peer."),
    )
    logo_uri = models.CharField(
        _("address of the logo"),
        max_length=500,
        blank=True,
        validators=[URLValidator(["https", "http"])],
        help_text=_(
            "An image (PNG, JPEG or WebP). This site fetches and stores it, so that the "
            "browsers of people do not call the peer."
        ),
    )
    policy_uri = models.CharField(
        _("address of the privacy policy"),
        max_length=500,
        blank=True,
        validators=[URLValidator(["https", "http"])],
        help_text=_("Where the peer says how it uses the data of people."),
    )
    tos_uri = models.CharField(
        _("address of the terms of service"),
        max_length=500,
        blank=True,
        validators=[URLValidator(["https", "http"])],
    )

    class Meta:
        abstract = True


class AccountFields(models.Model):
    """The fields of the model ``Peer`` that say where this site reads the name of an account."""

    userinfo_endpoint = models.CharField(
        _("UserInfo endpoint"),
        max_length=500,
        blank=True,
        help_text=_(
            "Where this site reads the name of an account when the ID token does not contain it "
            "(OpenID Connect Core 1.0, section 5.3). Blank: this site does not read it."
        ),
    )
    account_endpoint = models.CharField(
        _("account endpoint"),
        max_length=500,
        blank=True,
        help_text=_(
            "An address of the API of the peer that tells in JSON whose access token it got. It "
            "is for a peer without OpenID Connect. Blank: this site does not ask."
        ),
    )
    account_member = models.CharField(
        _("account member"),
        max_length=100,
        blank=True,
        help_text=_(
            "The member of the JSON object at the account endpoint that contains the name, such "
            "as “username”. A dot leads to an inner object: “user.email”."
        ),
    )

    class Meta:
        abstract = True


class PeerLogo(BaseModel):
    """The image at ``Peer.logo_uri``, as this site fetched it."""

    peer = models.OneToOneField(
        "reciprocal_oauth.Peer", on_delete=models.CASCADE, primary_key=True, related_name="logo"
    )
    #: The value of ``Peer.logo_uri`` from which the image comes.
    uri = models.CharField(max_length=500)
    media_type = models.CharField(max_length=50, blank=True)
    content = models.BinaryField(default=b"")
    fetched_at = models.DateTimeField()
    #: Why the image could not be fetched the last time; for administrators.
    error = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return self.uri
