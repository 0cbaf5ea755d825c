"""Validation of a peer's configuration. Each ``check_…`` function returns a list of error messages
for one value. The list is empty if the value is valid."""

import re
from typing import TYPE_CHECKING, Any

from django.contrib.auth.hashers import check_password
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from ..conf import settings
from ..core import networks, plugins, scopes
from ..core.peer_urls import address_problem, url_problem
from ..core.protocol import OPENID, OWN_AUTHORIZATION_PARAMETERS
from ..core.site_metadata import is_member
from ..exceptions import DecryptionError
from .binding import ENDPOINTS, changes_between, describe_changes
from .peer_key_validation import check_keys

if TYPE_CHECKING:
    from .peers import Peer

#: A valid client ID: ``client-id = *VSCHAR`` (RFC 6749, appendix A.1).
_CLIENT_ID = re.compile(r"[\x20-\x7e]*")
#: A valid name of a parameter. It consists of ``name-char`` (RFC 6749, section 8.2).
_PARAMETER = re.compile(r"[A-Za-z0-9._-]{1,100}")


def check_endpoint(url: str, example: str) -> list[str]:
    """Return the reasons why this site must not call ``url`` or redirect a user to it (RFC 6749,
    section 3)."""
    if not url:
        return []  # The model field checks whether an empty value is allowed.
    problem = url_problem(url, allow_loopback=settings.HTTP_ALLOW_LOOPBACK, example=example)
    problem = problem or address_problem(url, networks.is_allowed)
    return [problem] if problem else []


def check_client_id(value: str) -> list[str]:
    """Return the reasons why ``value`` is not a valid client ID (RFC 6749, appendix A.1)."""
    if _CLIENT_ID.fullmatch(value):
        return []
    return [_("A client ID consists of printable ASCII characters (RFC 6749, appendix A.1).")]


def parameters_in(text: str) -> dict[str, str]:
    """Return the parameters in ``text`` by name. Each line of ``text`` has the form
    ``NAME=VALUE``."""
    lines = (line.partition("=") for line in text.splitlines() if line.strip())
    return {name.strip(): value.strip() for name, _equals, value in lines}


def check_parameters(text: str) -> list[str]:
    """Return the reasons why ``text`` is not a valid list of extra parameters for authorization
    requests (RFC 6749, section 8.2)."""
    problems = []
    malformed = _("Write one parameter on each line, as NAME=VALUE, such as access_type=offline.")
    lines = [line for line in text.splitlines() if line.strip()]
    names = [line.partition("=")[0].strip() for line in lines]
    for name in names:
        if not _PARAMETER.fullmatch(name):
            problems.append(malformed)
        elif name in OWN_AUTHORIZATION_PARAMETERS:
            problems.append(
                _("Remove the parameter “%(name)s”: this site sets it itself.") % {"name": name}
            )
        elif names.count(name) > 1:
            problems.append(_("“%(name)s” is listed twice.") % {"name": name})
    if any("=" not in line for line in lines) and not problems:
        problems.append(malformed)
    return list(dict.fromkeys(problems))


def check_scope(value: str) -> list[str]:
    """Return the reasons why ``value`` is not a valid scope (RFC 6749, section 3.3)."""
    if value and scopes.parse(value) is None:
        return [_("Enter scope names separated by single spaces.")]
    return []


def check_scope_here(value: str) -> list[str]:
    """Return an error message if ``value`` contains scopes that this site does not define."""
    known = scopes.described()
    unknown = [token for token in scopes.split(value) if token not in known]
    if not unknown:
        return []
    return [
        _("Not a scope of this site: %(unknown)s. Its scopes are: %(known)s.")
        % {"unknown": " ".join(unknown), "known": " ".join(sorted(known)) or "–"}
    ]


def check_application(application: Any) -> list[str]:
    """Return the reasons why a DOT application cannot be the registration of a peer at this site
    (RFC 6749, section 2.1). For example, the application must have a client secret, because a peer
    must authenticate (draft-ietf-oauth-reciprocal-04, section 2.2.2)."""
    problems = []
    if application.client_type != application.CLIENT_CONFIDENTIAL:
        problems.append(_("The application must be confidential: the peer must authenticate."))
    if not application.allows_grant_type(
        application.GRANT_AUTHORIZATION_CODE, application.GRANT_OPENID_HYBRID
    ):
        problems.append(_("The application must use the authorization code grant."))
    if has_blank_secret(application):
        problems.append(_("The application has no client secret. Set one."))
    return problems


def has_blank_secret(application: Any) -> bool:
    """Return whether the client secret of a DOT application is empty. The stored value is then an
    empty text or the hash of an empty text, and DOT would accept an empty secret in both cases."""
    stored = application.client_secret
    return not stored or ("$" in stored and check_password("", stored))


def check_dialect(name: str) -> list[str]:
    """Return an error message if there is no dialect with this name. A dialect is a class that
    knows how to hand over reciprocal codes to a kind of peer."""
    try:
        plugins.dialect_class(name)
    except ImproperlyConfigured as error:
        return [str(error)]
    return []


def problems_of(
    peer: "Peer", stored: "Peer | None", *, is_secret_entered: bool
) -> dict[str, list[str]]:
    """Return the error messages about the configuration of ``peer``, by field name.

    :param stored: the row of this peer in the database; ``None`` for a new peer.
    :param is_secret_entered: whether somebody has entered a new client secret for ``peer``.
    """
    found: dict[str, list[str]] = {
        field: check_endpoint(getattr(peer, field), example) for field, example in ENDPOINTS.items()
    }
    if not peer.issuer:
        found["issuer"] += _check_no_issuer(peer)
    if peer.slug == "handover":
        found["slug"] = [_("“handover” is part of the addresses of this app. Choose another name.")]
    found["account_member"] = []
    found["client_id"] = check_client_id(peer.client_id)
    found["authorization_parameters"] = check_parameters(peer.authorization_parameters)
    for field, reasons in _check_present(peer).items():
        found[field] = found.get(field, []) + reasons
    for field in ("scope", "reciprocal_scope", "allowed_scope", "preconfigured_scope"):
        found[field] = check_scope(getattr(peer, field))
    if not found["allowed_scope"] and not found["preconfigured_scope"]:
        found["allowed_scope"] = check_scope_here(peer.allowed_scope)
        found["preconfigured_scope"] = _check_preconfigured_scope(peer)
    for field in ("reciprocal_scope", "preconfigured_scope"):
        if OPENID in scopes.split(getattr(peer, field)):
            found[field].append(
                _("“openid” cannot be part of a reciprocal grant: the person does not sign in.")
            )
    if peer.application_id is not None:
        found["application"] = check_application(peer.application)
    for field, reasons in check_keys(peer).items():
        found[field] = found.get(field, []) + reasons
    found["dialect"] = check_dialect(peer.dialect)
    for field, reasons in _check_account(peer).items():
        found[field] += reasons
    found["assertion_audience"] = check_endpoint(peer.assertion_audience, ENDPOINTS["issuer"])
    found["token_endpoint_auth_method"] = _check_auth_method(peer)
    found["dialect_options"] = _check_options(peer)
    if stored is not None:
        changes = problems_of_changes(stored, peer, is_secret_entered=is_secret_entered)
        for field, reasons in changes.items():
            found[field] = found.get(field, []) + reasons
    return {field: reasons for field, reasons in found.items() if reasons}


def problems_of_changes(
    stored: "Peer", peer: "Peer", *, is_secret_entered: bool
) -> dict[str, list[str]]:
    """Return the reasons why the changed ``peer`` must not be saved, by field name.

    There are three kinds of reasons:

    - A URL of the peer has a new origin, or the client ID is new. A client secret is stored, and
      nobody has entered it again. The stored client secret must not be sent to another site.
    - The DOT application of the peer is replaced, but there are active links. Their tokens belong
      to the former application, which would belong to no peer. This app can limit and revoke only
      the tokens of a peer's application.
    - The short name is new, but links or a pairing depend on the former one.

    :param stored: the row of this peer in the database, which does not have the changes yet.
    :param is_secret_entered: whether somebody has entered a new client secret for ``peer``.
    """
    problems = {}
    changes = [change for change in changes_between(stored, peer) if change.needs_secret]
    if changes and stored.client_secret and not is_secret_entered:
        text = _(
            "The stored client secret was entered for another address or another client ID, so it "
            "is not sent to the new one. To save these changes, enter the client secret again: "
            "%(changes)s."
        )
        problems["client_secret"] = [text % {"changes": describe_changes(changes)}]
    is_exchanged = peer.application_id != stored.application_id
    if is_exchanged and stored.links.filter(status="active").exists():
        problems["application"] = [
            _(
                "Links with this peer are active, and their tokens belong to the former "
                "application. End these links first."
            )
        ]
    if peer.slug != stored.slug and (reason := why_slug_is_fixed(stored)):
        problems["slug"] = [reason]
    elif peer.slug != stored.slug and not (is_secret_entered or _is_readable(stored)):
        problems["slug"] = [
            _(
                "The short name cannot be changed, because no key decrypts the stored client "
                "secret, which is encrypted for this name. Enter the client secret again."
            )
        ]
    return problems


def _is_readable(peer: "Peer") -> bool:
    try:
        peer.client_secret.reveal()
    except DecryptionError:
        return False
    return True


def why_slug_is_fixed(peer: "Peer") -> str:
    """Return why the short name of the stored ``peer`` cannot be changed; ``""`` if it can.

    The short name is part of the redirect URI of this site, which the peer has registered, and of
    the address to which peers with some dialects send codes.
    """
    if getattr(peer, "pairing", None) is not None:
        return _(
            "The short name cannot be changed after a pairing. It is part of the redirect URI of "
            "this site, which the peer has registered. To use another short name, end the pairing "
            "if it has not ended yet, and pair or register this site again under the new one. "
            "People then have to connect again."
        )
    if peer.links.exists():
        return _(
            "The short name cannot be changed, because people have connected with this peer. It is "
            "part of the redirect URI of this site, which the peer has registered."
        )
    return ""


#: The fields that a peer must have, unless its dialect says that they are optional.
NEEDED = ("authorization_endpoint", "token_endpoint", "client_id", "client_secret")


def optional_fields(peer: "Peer") -> frozenset[str]:
    """Return the fields that can be blank because of the dialect of ``peer``. If this site is a
    client of the peer, the fields that a client needs are not among them."""
    try:
        optional: frozenset[str] = plugins.dialect_class(peer.dialect).optional_fields
    except ImproperlyConfigured:
        return frozenset()  # check_dialect() reports the unknown dialect.
    is_client = peer.client_id or peer.client_secret
    return optional - {"token_endpoint", "client_id", "client_secret"} if is_client else optional


def missing_fields(peer: "Peer") -> list[str]:
    """Return the blank fields that ``peer`` needs because of its dialect, or because this site
    signs for it. What this site signs is for one issuer (RFC 7523, section 3), and then there is no
    client secret."""
    optional, needed = optional_fields(peer), list(NEEDED)
    if peer.signs_assertions:
        needed = [*(name for name in NEEDED if name != "client_secret"), "issuer"]
    return [name for name in needed if name not in optional and not getattr(peer, name)]


def _check_present(peer: "Peer") -> dict[str, list[str]]:
    """Return error messages for the blank fields that the dialect of ``peer`` needs, by field
    name."""
    missing = {
        "client_secret": _("Enter the client secret that the peer gave to this site."),
        "issuer": _("Enter the issuer of the peer: what this site signs is only for this issuer."),
    }
    blank = _("This field cannot be blank for a peer with this dialect.")
    return {field: [missing.get(field, blank)] for field in missing_fields(peer)}


def _check_auth_method(peer: "Peer") -> list[str]:
    """Return the reason why this site cannot sign for ``peer``: its dialect sends the client secret
    in a form of its own, or the vendor knows only client secrets."""
    try:
        takes_assertions = plugins.dialect_class(peer.dialect).takes_assertions
    except ImproperlyConfigured:
        return []
    if takes_assertions or not peer.signs_assertions:
        return []
    return [_("Peers with this dialect need a client secret.")]


def _check_options(peer: "Peer") -> list[str]:
    """Return the reasons why ``peer.dialect_options`` does not fit the dialect."""
    lines = [line for line in peer.dialect_options.splitlines() if line.strip()]
    if any("=" not in line for line in lines):
        return [_("Write one option on each line, as NAME=VALUE.")]
    try:
        known = plugins.dialect_class(peer.dialect).options
    except ImproperlyConfigured:
        return []
    problems = []
    for name, value in parameters_in(peer.dialect_options).items():
        if name not in known:
            names = ", ".join(sorted(known)) or "–"
            problems.append(
                _("“%(name)s” is not an option of this dialect. Its options are: %(known)s.")
                % {"name": name, "known": names}
            )
        elif known[name] and value not in known[name]:
            problems.append(
                _("“%(name)s” must be one of: %(known)s.")
                % {"name": name, "known": ", ".join(known[name])}
            )
    return problems


def _check_no_issuer(peer: "Peer") -> list[str]:
    """Return the reasons why the blank issuer of ``peer`` is an error. If the peer sends an issuer
    in authorization responses or ID tokens, this site must compare it with the stored issuer (RFC
    9207, section 2.4; OpenID Connect Core 1.0, section 3.1.3.7)."""
    if peer.sends_iss:
        return [_("Enter the issuer of the peer: its authorization responses must name it.")]
    if OPENID in scopes.split(peer.scope):
        return [
            _("Enter the issuer of the peer: when this site asks for “openid”, ID tokens name it.")
        ]
    return []


def _check_account(peer: "Peer") -> dict[str, list[str]]:
    """Return the reasons why this site cannot read the name of an account at the account endpoint
    of ``peer``."""
    problems: dict[str, list[str]] = {"account_endpoint": [], "account_member": []}
    if peer.account_member and not is_member(peer.account_member):
        problems["account_member"] = [
            _("Enter the name of a member, such as “username”, or “user.email” for an inner one.")
        ]
    if peer.account_endpoint and not peer.account_member:
        problems["account_member"] = [
            _("Enter the member of the response at the account endpoint that contains the name.")
        ]
    if peer.account_member and not peer.account_endpoint:
        problems["account_endpoint"] = [
            _("Enter the account endpoint whose response contains this member.")
        ]
    return problems


def _check_preconfigured_scope(peer: "Peer") -> list[str]:
    """Return the reasons why ``peer.preconfigured_scope`` contains scopes that the peer may not
    have at this site."""
    problems = check_scope_here(peer.preconfigured_scope)
    beyond = set(scopes.split(peer.preconfigured_scope)) - set(scopes.split(peer.allowed_scope))
    if beyond:
        problems.append(
            _("The field “allowed scope” does not contain: %(scopes)s.")
            % {"scopes": " ".join(sorted(beyond))}
        )
    return problems
