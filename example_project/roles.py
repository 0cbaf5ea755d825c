"""Descriptions of the two sites: their names, the scopes that they define, and the scopes that each
site requests from the other site."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Role:
    """The description of one of the two sites.

    :ivar slug: the value of ``EXAMPLE_SITE`` for this site. It is also the short name of this site
        in the other site's table of peers.
    :ivar what: a description for the output of commands.
    :ivar about: a description for the bottom of the pages, translated when it is shown.
    :ivar port: the port on which the demo starts this site.
    :ivar scopes: the scopes that this site defines, with texts that are translated when they are
        shown.
    :ivar scope: the scope that this site requests at the other site when a user starts to connect
        at this site.
    :ivar reciprocal_scope: the scope that this site requests at the other site for the reverse
        direction, when a user starts to connect at the other site.
    :ivar preconfigured_scope: the scope that this site asks its users to allow if the other site
        requests none for the reverse direction.
    """

    slug: str
    name: str
    what: str
    about: Any
    port: int
    scopes: Mapping[str, Any]
    scope: str
    reciprocal_scope: str
    preconfigured_scope: str

    @property
    def other(self) -> "Role":
        return MUSIC if self.slug == ASSISTANT.slug else ASSISTANT


ASSISTANT = Role(
    slug="assistant",
    name="Assistant",
    what="an example voice assistant",
    about=_(
        "Assistant is an example voice assistant, half of a demonstration of reciprocal OAuth."
    ),
    port=8001,
    scopes={
        "now-playing": _("Tell your assistant what is playing"),
        "profile": _("See your name at the assistant"),
    },
    scope="playback history",
    reciprocal_scope="playback history",
    preconfigured_scope="now-playing",
)
MUSIC = Role(
    slug="music",
    name="Music",
    what="an example music service",
    about=_("Music is an example music service, half of a demonstration of reciprocal OAuth."),
    port=8002,
    scopes={
        "playback": _("Control what is playing"),
        "history": _("See what you have listened to"),
    },
    scope="now-playing",
    reciprocal_scope="now-playing",
    preconfigured_scope="playback",
)
ROLES: Mapping[str, Role] = {role.slug: role for role in (ASSISTANT, MUSIC)}
