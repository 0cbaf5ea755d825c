"""The reasons why a link or a delivery does not work, with the stored values and the labels."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..exceptions import PeerError, ProxyFailed


class Reason(models.TextChoices):
    """The reason why a direction of a link does not work, why a link has ended, or why a delivery
    has failed."""

    NONE = "", _("no reason")
    EXPIRED = "expired", _("the access has expired and cannot be renewed")
    REFRESH_REFUSED = "refresh_refused", _("the other site no longer renews the access")
    UNREADABLE = "unreadable", _("this site has no key that decrypts the stored access")
    HANDOVER_REFUSED = "handover_refused", _("the other site refused the code")
    TOKEN_REFUSED = "token_refused", _("the other site no longer knows this connection")
    CREDENTIALS_REFUSED = (
        "credentials_refused",
        _("the other site refused the credentials of this site"),
    )
    UNREACHABLE = "unreachable", _("the other site could not be reached")
    PROXY_FAILED = "proxy_failed", _("this site could not reach out, because its proxy failed")
    UNCONFIRMED = "unconfirmed", _("the other site accepted the code but never used it")
    CODE_REFUSED = "code_refused", _("the other site refused to redeem its own code")
    BAD_RESPONSE = "bad_response", _("the response of the other site cannot be used")
    NOTHING_LEFT = "nothing_left", _("no scope is left that the other site may get at this site")
    REPLACED = "replaced", _("a newer connection replaced it")
    REVOKED_HERE = "revoked_here", _("it was ended at this site")
    REVOKED_BY_PEER = "revoked_by_peer", _("the other site ended it")
    RECONFIGURED = (
        "reconfigured",
        _(
            "an administrator of this site changed the addresses of the other site, or the client "
            "ID of this site there"
        ),
    )
    USER_INACTIVE = "user_inactive", _("the account at this site was deactivated")
    PEER_DISABLED = "peer_disabled", _("an administrator disabled the other site")
    GONE = "gone", _("the other site says that its endpoint no longer exists (410 Gone)")
    STOPPED = "stopped", _("an administrator stopped the delivery")
    NO_REVERSE = "no_reverse", _("the other site does not support the reverse direction")
    SITE_REFUSES = "site_refuses", _("the rules of this site do not allow it")


#: The reasons for which a peer can lose its access to this site without an error: the access was
#: revoked at this site, or it expired.
LOST_INCOMING = (Reason.REVOKED_HERE, Reason.EXPIRED)


def reason_of(error: PeerError) -> Reason:
    """Return the reason to store if a peer could not be called, or did not respond as it must."""
    return Reason.PROXY_FAILED if isinstance(error, ProxyFailed) else Reason.UNREACHABLE
