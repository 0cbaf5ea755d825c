"""Explains to the person to whom a link belongs why an access does not work, or why the link has
ended."""

from django.utils.translation import gettext, gettext_noop

from ..models import Reason


def for_people(reason: str, name: str) -> str:
    """Return a sentence that explains ``reason`` without technical words. Return an empty string if
    ``reason`` is empty, or if this app has no sentence for it.

    :param reason: a value of ``Reason``.
    :param name: the name of the peer.
    """
    return gettext(_SENTENCES[reason]) % {"name": name} if reason in _SENTENCES else ""


_SENTENCES: dict[str, str] = {
    Reason.EXPIRED: gettext_noop("The access expired and could not be renewed."),
    Reason.REFRESH_REFUSED: gettext_noop("%(name)s no longer renews the access."),
    Reason.UNREADABLE: gettext_noop("This site can no longer read the access that it has stored."),
    Reason.HANDOVER_REFUSED: gettext_noop("%(name)s refused what this site sent."),
    Reason.TOKEN_REFUSED: gettext_noop("%(name)s no longer knows this connection."),
    Reason.CREDENTIALS_REFUSED: gettext_noop("%(name)s does not recognise this site."),
    Reason.UNREACHABLE: gettext_noop("%(name)s could not be reached."),
    Reason.PROXY_FAILED: gettext_noop("This site could not reach out to %(name)s."),
    Reason.UNCONFIRMED: gettext_noop("%(name)s accepted what this site sent, but never used it."),
    Reason.CODE_REFUSED: gettext_noop("%(name)s did not give the access that it had offered."),
    Reason.BAD_RESPONSE: gettext_noop("%(name)s sent a response that this site cannot use."),
    Reason.NOTHING_LEFT: gettext_noop("Nothing is left that %(name)s may do here."),
    Reason.REPLACED: gettext_noop("A newer connection replaced it."),
    Reason.REVOKED_HERE: gettext_noop("It was ended here."),
    Reason.REVOKED_BY_PEER: gettext_noop("%(name)s ended it."),
    Reason.RECONFIGURED: gettext_noop(
        "An administrator of this site has changed the settings of %(name)s, and the earlier "
        "access is no longer used."
    ),
    Reason.USER_INACTIVE: gettext_noop("Your account here was deactivated."),
    Reason.PEER_DISABLED: gettext_noop("An administrator of this site had switched off %(name)s."),
    Reason.GONE: gettext_noop("%(name)s no longer accepts what this site sends."),
    Reason.STOPPED: gettext_noop("An administrator of this site stopped it."),
    Reason.NO_REVERSE: gettext_noop("%(name)s works with this site in one direction only."),
    Reason.SITE_REFUSES: gettext_noop(
        "This site does not allow your account to give %(name)s access."
    ),
}
