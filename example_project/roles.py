"""The two sites: their names, their scopes, and the scopes that they ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Role:
    """One of the two sites.

    :ivar slug: value of ``EXAMPLE_SITE``; also the other site's short name for this peer.
    :ivar what: a description, for commands.
    :ivar about: a description for the foot of its pages, translated when it is shown.
    :ivar port: the port on which the demo starts it.
    :ivar scopes: the scopes of the site, with texts that are translated when they are shown.
    :ivar scope: the scope that it requests when a user starts here.
    :ivar reciprocal_scope: the scope that it requests in return when a user starts at the other
        site.
    :ivar preconfigured_scope: the scope that users here are asked for if the other site requests
        none.
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
