"""The flags of the command ``reciprocal_peer add``. Most of them set one field of the peer, or of
its application (the DOT client of this site that the peer uses)."""

import getpass
import sys
from argparse import SUPPRESS, BooleanOptionalAction
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import override
from oauth2_provider.models import get_application_model

from reciprocal_oauth.models import Peer

#: Maps each field of a peer to the flag that sets the field.
PEER_FLAGS: Mapping[str, str] = {
    "name": "--name",
    "homepage": "--homepage",
    "description": "--description",
    "logo_uri": "--logo-uri",
    "policy_uri": "--policy-uri",
    "tos_uri": "--tos-uri",
    "dialect": "--dialect",
    "dialect_options": "--dialect-option",
    "issuer": "--issuer",
    "sends_iss": "--sends-iss",
    "authorization_endpoint": "--authorization-endpoint",
    "authorization_parameters": "--authorization-parameter",
    "token_endpoint": "--token-endpoint",
    "revocation_endpoint": "--revocation-endpoint",
    "userinfo_endpoint": "--userinfo-endpoint",
    "account_endpoint": "--account-endpoint",
    "account_member": "--account-member",
    "reciprocal_endpoint": "--reciprocal-endpoint",
    "client_id": "--client-id",
    "client_secret": "--client-secret",
    "token_endpoint_auth_method": "--auth-method",
    "assertion_audience": "--assertion-audience",
    "assertion_algorithm": "--assertion-algorithm",
    "authenticates_here_by": "--authenticates-here-by",
    "jwks_uri": "--jwks-uri",
    "scope": "--scope",
    "reciprocal_scope": "--reciprocal-scope",
    "allowed_scope": "--allowed-scope",
    "preconfigured_scope": "--preconfigured-scope",
    "revoke_replaced": "--revoke-replaced",
}
#: Flags of boolean fields. For example, ``--sends-iss`` sets its field to true, and
#: ``--no-sends-iss`` sets it to false.
SWITCHES = ("--sends-iss", "--revoke-replaced")
#: Flags in ``PEER_FLAGS`` that a user can give several times in one command. The field of such a
#: flag contains text with several lines, and each value becomes one line.
LINES = ("--authorization-parameter", "--dialect-option")
#: Maps each field of the peer's application (its DOT client at this site) to the flag that sets the
#: field.
APPLICATION_FLAGS: Mapping[str, str] = {
    "client_id": "--application-client-id",
    "client_secret": "--application-client-secret",
    "redirect_uris": "--redirect-uri",
    "name": "--name",
}
#: Flags whose value is a secret. The value ``-`` means that the command reads the secret from
#: standard input. If several flags have this value, their secrets are read in this order.
SECRET_FLAGS = ("--client-secret", "--application-client-secret", "--initial-access-token")

#: Maps the last word of a flag to the placeholder that the help shows for the value of the flag.
#: For example, the last word of ``--token-endpoint`` is ``endpoint``, so the help shows
#: ``--token-endpoint URL``.
_METAVARS: Mapping[str, str] = {
    "audience": "URL",
    "by": "METHOD",
    "description": "TEXT",
    "dialect": "NAME",
    "endpoint": "URL",
    "homepage": "URL",
    "issuer": "URL",
    "member": "NAME",
    "option": "NAME=VALUE",
    "parameter": "NAME=VALUE",
    "uri": "URL",
}

#: Maps a field of a peer to the help of its flag. This mapping contains only the fields whose
#: ``help_text`` is wrong for a command, because it describes an input of the admin form. For all
#: other fields, the help of the flag is the ``help_text``.
_HELP: Mapping[str, str] = {
    "dialect": "How this peer hands over codes. “ietf” is for peers that follow the draft exactly. "
    "For a new peer with the dialect of a vendor, the command fills in everything that is the same "
    "for all peers of this vendor; other flags take precedence. The action “vendors” lists them.",
    "dialect_options": "A value that only this dialect needs, such as stage=development. Repeat "
    "the flag for more values. The flags replace all stored values; an empty value removes them "
    "all.",
    "authorization_parameters": "An extra parameter that this peer needs when people are sent to "
    "its authorization endpoint, such as access_type=offline. Repeat the flag for more parameters. "
    "The flags replace all stored parameters; an empty value removes them all.",
}

EPILOG = (
    "Other users of the machine can see the arguments of a command. To hide a secret, give - "
    "instead: the command reads it from standard input, one secret a line, the client secret "
    "first. At a terminal, it asks for the secret."
)


def add_flags(parser: CommandParser) -> None:
    """Add the flags for a peer and its application to ``parser``."""
    peer = parser.add_argument_group("the peer")
    for field, flag in PEER_FLAGS.items():
        last_word = flag.rpartition("-")[2]
        more: dict[str, Any] = {"metavar": _METAVARS.get(last_word, last_word.upper())}
        if flag in SWITCHES:
            more = {"action": BooleanOptionalAction, "default": None}
        elif flag in LINES:
            more["action"] = "append"
        peer.add_argument(flag, help=_help_of(field), **more)
    peer.add_argument(
        "--answer",
        metavar="NAME=VALUE",
        action="append",
        help="What the console of the vendor shows; the action “vendors” lists the names. Repeat "
        "the flag for more values. At a terminal, the command asks for missing values.",
    )
    peer.add_argument(
        "--discover",
        metavar="URL",
        help="Read the issuer and the endpoints from the metadata of the peer at this address (RFC "
        "8414, or OpenID Connect Discovery). The value of a flag takes precedence.",
    )
    peer.add_argument(
        "--register",
        action="store_true",
        help="Register this site at the other site (RFC 7591), at the endpoint that its metadata "
        "names. This fills in --client-id, --client-secret and --auth-method.",
    )
    peer.add_argument(
        "--pairing",
        action="store_true",
        help="The peer is a site that knows only RFC 7591 and has used an invitation with this "
        "short name: see “reciprocal_pair show SLUG”. Give its endpoints, and the client ID and "
        "secret of this site there. What it has registered here is known.",
    )
    peer.add_argument(
        "--initial-access-token",
        metavar="TOKEN",
        help="The token with which --register may register, if the other site wants one. Give - to "
        "read it from standard input.",
    )
    peer.add_argument(
        "--registration-endpoint",
        metavar="URL",
        help="The endpoint for --register, if the metadata names none, or one at another host.",
    )
    peer.add_argument(
        "--our-name",
        metavar="NAME",
        help="What --register calls this site. By default, it is the host name.",
    )
    peer.add_argument(
        "--accept-changes",
        action="store_true",
        help="Confirm a change of the peer's addresses, of the client ID of this site at the peer, "
        "of the peer's application at this site, or of values that --discover finds. Without this "
        "flag, the command lists the changes and saves nothing.",
    )
    switch = peer.add_mutually_exclusive_group()
    switch.add_argument(
        "--enable", dest="enabled", action="store_true", default=None, help="Let people connect."
    )
    switch.add_argument(
        "--disable",
        dest="enabled",
        action="store_false",
        default=None,
        help="Let nobody connect, and refuse every request of the peer.",
    )
    here = parser.add_argument_group("its application here, created if it does not exist")
    here.add_argument(
        "--application-client-id",
        metavar="ID",
        help="Its client ID here. Generated for a new application if you give none.",
    )
    here.add_argument(
        "--application-client-secret",
        metavar="SECRET",
        help="Its client secret here. Generated for a new application if you give none, and then "
        "printed once.",
    )
    here.add_argument(
        "--redirect-uri",
        metavar="URI",
        action="append",
        help="The callback of the peer. Repeat the flag for more callbacks. The flags replace all "
        "stored callbacks.",
    )
    here.add_argument(
        "--application-field",
        metavar="NAME=VALUE",
        action="append",
        help="A field of this site's own application model. Repeat the flag for more fields.",
    )


def _help_of(name: str) -> str:
    """Return the help of the flag that sets the field ``name`` of a peer. Usually this is the
    ``help_text`` of the field. It is not translated, because the rest of the help is in English."""
    field: Any = Peer._meta.get_field(name)
    with override(None):
        sentences = [_HELP.get(name) or str(field.help_text or f"Its {field.verbose_name}.")]
    if field.choices:
        sentences.append(f"One of: {', '.join(value for value, _label in field.choices)}.")
    if field.default and isinstance(field.default, str):
        sentences.append(f"Default for a new peer: {field.default}.")
    return " ".join(sentences).replace("%", "%%")


def add_django_flags(parser: CommandParser) -> None:
    """Add Django's own options, such as ``--verbosity``, to the parser of one action (``add``,
    ``list``, …). Without this, Django accepts them only in front of the name of the action."""
    for flag in ("--settings", "--pythonpath"):
        parser.add_argument(flag, default=SUPPRESS, help=SUPPRESS)
    for flag in ("--traceback", "--no-color", "--force-color", "--skip-checks"):
        parser.add_argument(flag, action="store_true", default=SUPPRESS, help=SUPPRESS)
    parser.add_argument(
        "-v", "--verbosity", type=int, choices=range(4), default=SUPPRESS, help=SUPPRESS
    )


def _own_fields() -> dict[str, Any]:
    """Return the editable fields of the application model for which the command has no separate
    flag. A user sets them with ``--application-field NAME=VALUE``."""
    fields = get_application_model()._meta.concrete_fields
    return {
        field.name: field
        for field in fields
        if field.editable and not field.primary_key and field.name not in APPLICATION_FLAGS
    }


def application_flags() -> dict[str, str]:
    """Return a mapping from the name of each field of an application to the flag that sets it."""
    own = {name: f"--application-field {name}" for name in _own_fields()}
    return {**own, **APPLICATION_FLAGS}


def application_fields(given: Sequence[str] | str | None) -> dict[str, Any]:
    """Parse the values of ``--application-field``.

    :param given: one or more texts of the form ``NAME=VALUE``; ``None`` if the flag is not used.
    :returns: the names of attributes of the application, with their values.
    :raises CommandError: a field does not exist, or does not accept its value.
    """
    values: dict[str, Any] = {}
    known = _own_fields()
    for text in [given] if isinstance(given, str) else given or ():
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise CommandError(
                f"--application-field: Give NAME=VALUE. NAME is one of: {', '.join(sorted(known))}."
            )
        try:
            # If the field is a foreign key, the value is the primary key of the related row.
            values[known[name].attname] = known[name].to_python(value)
        except ValidationError as error:
            reasons = " ".join(error.messages)
            raise CommandError(f"--application-field {name}: {reasons}") from error
    return values


def option(flag: str) -> str:
    """Return the key under which the options of a command contain the value of ``flag``. For
    example, the key of ``--client-id`` is ``client_id``."""
    return flag.lstrip("-").replace("-", "_")


def read_secrets(options: dict[str, Any]) -> None:
    """Read the secrets whose flags have the value ``-``, and put them into ``options``.

    At a terminal, ask the user for each secret. Otherwise read one line of standard input for each.

    :raises CommandError: standard input has no line for a secret, or the line is empty.
    """
    for flag in SECRET_FLAGS:
        if options[option(flag)] != "-":
            continue
        if sys.stdin.isatty():
            secret = getpass.getpass(f"{flag}: ")
        else:
            secret = sys.stdin.readline().rstrip("\r\n")
        if not secret:
            raise CommandError(f"{flag}: standard input has no line for this secret.")
        options[option(flag)] = secret
