"""Renders a mail from the templates in ``reciprocal_oauth/mail/``. A site can replace each of them:
``KIND_subject.txt`` and ``KIND_message.txt``; if ``KIND_message.html`` exists, it is sent too."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.conf import settings as django_settings
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext

from ..core import scopes, site_address
from ..core.plain_text import plain
from ..models import AuthorizationRequest, Link, Notice
from ..presentation import reasons
from ..presentation.permissions import Permission, in_scope_words, in_words_of_peer

_FOLDER = "reciprocal_oauth/mail"


@dataclass(frozen=True)
class Mail:
    """The parts of a mail. ``html`` is empty if the site has no template for it."""

    subject: str
    body: str
    html: str


def host_of_site() -> str:
    """Return the host name of this site; ``""`` if no setting names it."""
    return site_address.host_of(site_address.configured_base_url())


def render(notice: Notice) -> Mail:
    """Return the mail in the language in which the person last connected an account."""
    with translation.override(_language_of(notice.link)):
        context = _context(notice)
        subject = render_to_string(f"{_FOLDER}/{notice.kind}_subject.txt", context)
        body = render_to_string(f"{_FOLDER}/{notice.kind}_message.txt", context)
        html = ""
        with suppress(TemplateDoesNotExist):
            html = render_to_string(f"{_FOLDER}/{notice.kind}_message.html", context)
    # A line break would begin a new header, and Django refuses to send such a mail.
    return Mail(" ".join(subject.split()), body.strip() + "\n", html)


def _language_of(link: Link) -> str:
    visits = AuthorizationRequest.objects.filter(user=link.user_id).exclude(language="")
    newest = visits.order_by("-created_at").values_list("language", flat=True).first()
    return newest or django_settings.LANGUAGE_CODE


def _context(notice: Notice) -> dict[str, Any]:
    link, peer = notice.link, notice.link.peer
    base = site_address.configured_base_url()
    name = plain(str(peer))
    return {
        "link": link,
        "peer": peer,
        "user": link.user,
        "site": host_of_site() or gettext("this site"),
        "name": name,
        "account": plain(link.account_name or ""),
        "may_here": _texts(in_scope_words(_scope_here(link), scopes.described())),
        "may_there": _texts(in_words_of_peer(_scope_there(link), peer)),
        "why_not_there": _why(link.outgoing_state, link.outgoing_reason, name),
        "why_not_here": _why(link.incoming_state, link.incoming_reason, name),
        "why_ended": reasons.for_people(link.outgoing_reason, name) if not link.is_active else "",
        # Without the address of this site, a mail can have no link.
        "link_url": base and site_address.url_of("reciprocal_oauth:link", str(link.pk), base=base),
    }


def _scope_here(link: Link) -> str:
    return link.incoming_scope if link.incoming_state == Link.Incoming.ACTIVE else ""


def _scope_there(link: Link) -> str:
    has_access = link.outgoing_state == Link.Outgoing.ACTIVE
    return scopes.without_openid(link.outgoing_scope) if has_access else ""


def _texts(permissions: list[Permission]) -> list[str]:
    return [plain(str(permission.text)) for permission in permissions]


def _why(state: str, reason: str, name: str) -> str:
    """Return why a direction is broken, in a sentence; ``""`` if it is not broken."""
    return reasons.for_people(reason, name) if state == Link.Outgoing.BROKEN else ""
