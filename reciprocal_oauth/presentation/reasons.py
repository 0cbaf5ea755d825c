"""Why something does not work, as a sentence for the person whose link it is."""

from django.utils.translation import gettext, gettext_noop

from ..models import Reason


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
    Reason.BAD_RESPONSE: gettext_noop("%(name)s gave an answer that this site cannot use."),
    Reason.NOTHING_LEFT: gettext_noop("There is nothing left that %(name)s may be given here."),
    Reason.REPLACED: gettext_noop("A newer connection took its place."),
    Reason.REVOKED_HERE: gettext_noop("It was ended here."),
    Reason.REVOKED_BY_PEER: gettext_noop("%(name)s ended it."),
    Reason.RECONFIGURED: gettext_noop(
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
