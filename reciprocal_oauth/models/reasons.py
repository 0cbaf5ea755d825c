"""Why something does not work, in words for people."""

from django.db import models
from django.utils.translation import gettext, gettext_noop
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
    BAD_ANSWER = "bad_answer", _("the other site answered something that cannot be used")
    NOTHING_LEFT = "nothing_left", _("nothing is left that it may be given")
    REPLACED = "replaced", _("a newer connection took its place")
    REVOKED_HERE = "revoked_here", _("it was ended here")
    REVOKED_THERE = "revoked_there", _("the other site ended it")
    SET_UP_ANEW = (
        "set_up_anew",
        _("the address of the other site, or our client ID there, was changed here"),
    )
    USER_INACTIVE = "user_inactive", _("the account here was deactivated")
    PEER_DISABLED = "peer_disabled", _("the other site was switched off by an administrator")
    GONE = "gone", _("the other site says that its endpoint is gone for good")
    STOPPED = "stopped", _("an administrator stopped the delivery")
    NO_REVERSE = "no_reverse", _("the other site does not support the reverse direction")
    SITE_REFUSES = "site_refuses", _("the rules of this site do not allow it")


#: Why a peer has no access here any more although nothing failed: it was taken back, or ran out.
LOST_HERE = (Reason.REVOKED_HERE, Reason.EXPIRED)


def for_people(reason: str, name: str) -> str:
    """``reason`` as a sentence without technical words, for the person whose link it is; empty for
    none, and for one that this release does not know.

    :param name: of the peer.
    """
    return gettext(_SENTENCES[reason]) % {"name": name} if reason in _SENTENCES else ""


_SENTENCES: dict[str, str] = {
    Reason.EXPIRED: gettext_noop("The access ran out and could not be renewed."),
    Reason.REFRESH_REFUSED: gettext_noop("%(name)s no longer renews the access."),
    Reason.UNREADABLE: gettext_noop("This site can no longer read the access that it had stored."),
    Reason.HANDOVER_REFUSED: gettext_noop("%(name)s refused what this site sent."),
    Reason.TOKEN_REFUSED: gettext_noop("%(name)s no longer knows this connection."),
    Reason.CREDENTIALS_REFUSED: gettext_noop("%(name)s does not recognise this site."),
    Reason.UNREACHABLE: gettext_noop("%(name)s could not be reached."),
    Reason.UNCONFIRMED: gettext_noop("%(name)s took what this site sent, but never used it."),
    Reason.CODE_REFUSED: gettext_noop("%(name)s did not give the access that it had offered."),
    Reason.BAD_ANSWER: gettext_noop("%(name)s gave an answer that this site cannot use."),
    Reason.NOTHING_LEFT: gettext_noop("There is nothing left that %(name)s may be given here."),
    Reason.REPLACED: gettext_noop("A newer connection took its place."),
    Reason.REVOKED_HERE: gettext_noop("It was ended here."),
    Reason.REVOKED_THERE: gettext_noop("%(name)s ended it."),
    Reason.SET_UP_ANEW: gettext_noop(
        "The people who run this site have set up %(name)s anew, and the access from before is not "
        "used any more."
    ),
    Reason.USER_INACTIVE: gettext_noop("Your account here was deactivated."),
    Reason.PEER_DISABLED: gettext_noop("The people who run this site had switched off %(name)s."),
    Reason.GONE: gettext_noop("%(name)s no longer takes what this site sends."),
    Reason.STOPPED: gettext_noop("The people who run this site stopped it."),
    Reason.NO_REVERSE: gettext_noop("%(name)s does not support the reverse direction."),
    Reason.SITE_REFUSES: gettext_noop(
        "This site does not allow your account to give %(name)s access."
    ),
}
