"""The groups of fields on the admin pages of a peer."""

from collections.abc import Collection, Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

_ENDPOINTS = (
    "issuer",
    "sends_iss",
    "authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "userinfo_endpoint",
    "reciprocal_endpoint",
)
_SCOPES = ("scope", "reciprocal_scope", "allowed_scope", "preconfigured_scope")
_PEOPLE = (
    "description",
    "logo_uri",
    "policy_uri",
    "tos_uri",
    "account_endpoint",
    "account_member",
)
_OURS = _("Our registration at the peer")
_ITS = _("Registration of the peer here")
#: Fields that have no place on the page. They are in the last group, which always exists.
_HIDDEN = ("peer_words", "peer_scopes", "sealed_secret")

#: The groups on the page of a peer that is stored.
STORED = (
    (None, {"fields": ("name", "slug", "homepage", "enabled", "dialect", "dialect_options")}),
    (
        _("Endpoints of the peer"),
        {"fields": (*_ENDPOINTS[:3], "authorization_parameters", *_ENDPOINTS[3:])},
    ),
    (
        _OURS,
        {
            "fields": (
                "client_id",
                "client_secret",
                "token_endpoint_auth_method",
                "assertion_audience",
                "assertion_algorithm",
                "revoke_replaced",
                "sealed_secret",
            )
        },
    ),
    (_ITS, {"fields": ("application", "authenticates_here_by", "jwks_uri")}),
    (_("Scopes"), {"fields": _SCOPES}),
    (_("What people see of the peer"), {"fields": _PEOPLE}),
)

#: The first page on which a peer is added.
FIRST_STEP = (
    (_("Its address"), {"fields": ("address",)}),
    (_("Or its sheet"), {"fields": ("sheet", "pasted_sheet")}),
)

#: What a look-up can find.
_FOUND = (
    *_ENDPOINTS,
    "token_endpoint_auth_method",
    "policy_uri",
    "tos_uri",
)
#: What few peers need.
_SELDOM = (
    "homepage",
    "dialect",
    "dialect_options",
    "authorization_parameters",
    "assertion_audience",
    "assertion_algorithm",
    "authenticates_here_by",
    "jwks_uri",
    "revoke_replaced",
    "description",
    "logo_uri",
    "account_endpoint",
    "account_member",
)


def new_peer(
    registration: Sequence[Any],
    *,
    redirect_uris: Sequence[str],
    is_found: bool,
    doubtful: Collection[str],
) -> list[Any]:
    """Return the groups of the form for a new peer: first what is needed, then what was found or is
    seldom needed, folded away.

    :param registration: the group with the button “Register this site there”, if there is one.
    :param redirect_uris: the field for the redirect URIs of a new application, if the user may
        create one.
    :param is_found: whether the metadata or the sheet of the peer was read.
    :param doubtful: fields whose value a person must check. They are not folded away.
    """
    checked = [name for name in (*_FOUND, *_SELDOM) if name in doubtful]
    found = [name for name in ("address", *_FOUND) if name not in doubtful]
    seldom = [name for name in _SELDOM if name not in doubtful]
    endpoints: Any = (_("Found at the other site"), {"fields": found, "classes": ["collapse"]})
    name: Any = (None, {"fields": ("name", "slug", "enabled")})
    needed: list[Any] = [
        *registration,
        (_OURS, {"fields": ("client_id", "client_secret")}),
        (_ITS, {"fields": ("application", *redirect_uris)}),
        (_("Scopes"), {"fields": _SCOPES}),
    ]
    if checked:
        needed.insert(0, (_("Please check"), {"fields": checked}))
    last = (_("More"), {"fields": [*seldom, *_HIDDEN], "classes": ["collapse"]})
    if is_found:
        return [name, *needed, endpoints, last]
    by_hand = (_("Endpoints of the peer"), {"fields": found})
    return [name, by_hand, *needed, last]
