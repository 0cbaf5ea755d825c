"""Why something does not work: the values that are stored, each with its label."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Reason(models.TextChoices):
    """Why a direction does not work, a link ended, or a delivery was given up."""

    NONE = "", _("no reason")
    EXPIRED = "expired", _("the access ran out and cannot be renewed")
    REFRESH_REFUSED = "refresh_refused", _("the other site no longer renews the access")
    UNREADABLE = "unreadable", _("the stored access cannot be read with the keys of this site")
    HANDOVER_REFUSED = "handover_refused", _("the other site refused the code")
    TOKEN_REFUSED = "token_refused", _("the other site no longer knows this connection")
    CREDENTIALS_REFUSED = (
        "credentials_refused",
        _("the other site refused the credentials of this site"),
    )
    UNREACHABLE = "unreachable", _("the other site could not be reached")
    UNCONFIRMED = "unconfirmed", _("the other site took the code but never used it")
    CODE_REFUSED = "code_refused", _("the other site refused to redeem its own code")
    BAD_RESPONSE = "bad_response", _("the other site answered something that cannot be used")
    NOTHING_LEFT = "nothing_left", _("nothing is left that it may be given")
    REPLACED = "replaced", _("a newer connection took its place")
    REVOKED_HERE = "revoked_here", _("it was ended here")
    REVOKED_BY_PEER = "revoked_by_peer", _("the other site ended it")
    RECONFIGURED = (
        "reconfigured",
        _("the address of the other site, or our client ID there, was changed here"),
    )
    USER_INACTIVE = "user_inactive", _("the account here was deactivated")
    PEER_DISABLED = "peer_disabled", _("the other site was switched off by an administrator")
    GONE = "gone", _("the other site says that its endpoint is gone for good")
    STOPPED = "stopped", _("an administrator stopped the delivery")
    NO_REVERSE = "no_reverse", _("the other site does not support the reverse direction")
    SITE_REFUSES = "site_refuses", _("the rules of this site do not allow it")


#: Why a peer has no access here any more although nothing failed: it was taken back, or ran out.
LOST_INCOMING = (Reason.REVOKED_HERE, Reason.EXPIRED)
