"""The flags of ``reciprocal_peer add``, and what of a peer each of them sets."""

import getpass
import sys
from argparse import SUPPRESS, BooleanOptionalAction
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from oauth2_provider.models import get_application_model

#: The flag of each field of a peer.
PEER_FLAGS: Mapping[str, str] = {
    "name": "--name",
    "homepage": "--homepage",
    "dialect": "--dialect",
    "issuer": "--issuer",
    "sends_iss": "--sends-iss",
    "authorization_endpoint": "--authorization-endpoint",
    "authorization_parameters": "--authorization-parameter",
    "token_endpoint": "--token-endpoint",
    "revocation_endpoint": "--revocation-endpoint",
    "userinfo_endpoint": "--userinfo-endpoint",
    "reciprocal_endpoint": "--reciprocal-endpoint",
    "client_id": "--client-id",
    "client_secret": "--client-secret",
    "token_endpoint_auth_method": "--auth-method",
    "scope": "--scope",
    "reciprocal_scope": "--reciprocal-scope",
    "allowed_scope": "--allowed-scope",
    "preconfigured_scope": "--preconfigured-scope",
    "revoke_replaced": "--revoke-replaced",
}
#: Those that are on or off: ``--no-…`` puts them off.
SWITCHES = ("--sends-iss", "--revoke-replaced")
#: Those that may be given more than once, for one line each.
LINES = ("--authorization-parameter",)
#: The flag of each field of its application here.
APPLICATION_FLAGS: Mapping[str, str] = {
    "client_id": "--application-client-id",
    "client_secret": "--application-client-secret",
    "redirect_uris": "--redirect-uri",
    "name": "--name",
}
#: In the order in which they are read from standard input.
SECRET_FLAGS = ("--client-secret", "--application-client-secret")

_HELP: Mapping[str, tuple[str, str]] = {
    "--name": ("NAME", "the site's name, as people know it"),
    "--homepage": ("URL", "its home page"),
    "--dialect": ("NAME", "how it speaks; ietf, if a new peer is given none"),
    "--issuer": ("URL", "its issuer identifier"),
    "--sends-iss": ("", "it names its issuer in every authorization response (RFC 9207)"),
    "--authorization-endpoint": ("URL", "where people are sent to allow access"),
    "--authorization-parameter": (
        "NAME=VALUE",
        "what it wants to be told beside the usual where people are sent to allow access; give it "
        "again for another one. Replaces those there were, an empty one leaves none",
    ),
    "--token-endpoint": ("URL", "where codes are exchanged for tokens"),
    "--revocation-endpoint": ("URL", "where tokens are revoked (RFC 7009)"),
    "--userinfo-endpoint": ("URL", "where it tells what an account is called (OpenID Connect)"),
    "--reciprocal-endpoint": ("URL", "where our codes go, if not to the token endpoint"),
    "--client-id": ("ID", "the id that the peer gave to this site"),
    "--client-secret": ("SECRET", "the secret that the peer gave to this site, or - to read it"),
    "--revoke-replaced": (
        "",
        "revoke a token there that a new connection replaces; not where the peer ends the whole "
        "connection with it",
    ),
    "--auth-method": (
        "METHOD",
        "client_secret_basic, or client_secret_post; the first, if a new peer is given none",
    ),
    "--scope": ("SCOPE", "what we ask of the peer when a person starts here"),
    "--reciprocal-scope": ("SCOPE", "what we ask of it when the person started there"),
    "--allowed-scope": ("SCOPE", "the most that it may ever hold here"),
    "--preconfigured-scope": (
        "SCOPE",
        "what people are asked to give it when it sends no “reciprocal” parameter",
    ),
}

EPILOG = (
    "Other users of the machine can see the arguments of a command. Give - in place of a secret, "
    "and it is read from standard input, one line each, the client secret first; at a terminal "
    "you are asked for it."
)


def add_flags(parser: CommandParser) -> None:
    """The flags that describe a peer and its application."""
    peer = parser.add_argument_group("the peer")
    for flag in PEER_FLAGS.values():
        metavar, text = _HELP[flag]
        if flag in SWITCHES:
            peer.add_argument(flag, action=BooleanOptionalAction, default=None, help=text)
        elif flag in LINES:
            peer.add_argument(flag, metavar=metavar, action="append", help=text)
        else:
            peer.add_argument(flag, metavar=metavar, help=text)
    peer.add_argument(
        "--discover",
        metavar="URL",
        help="read issuer and endpoints from the metadata of the peer at this address (RFC 8414, "
        "or OpenID Connect Discovery); what a flag gives wins",
    )
    peer.add_argument(
        "--accept-changes",
        action="store_true",
        help="change where a peer is, or our client id there, or what --discover finds of it anew; "
        "without it, the changes are named and nothing is saved",
    )
    switch = peer.add_mutually_exclusive_group()
    switch.add_argument(
        "--enable", dest="enabled", action="store_true", default=None, help="let people connect"
    )
    switch.add_argument(
        "--disable",
        dest="enabled",
        action="store_false",
        default=None,
        help="let nobody connect, and refuse the peer everywhere here",
    )
    here = parser.add_argument_group("its registration here: an application, made if there is none")
    here.add_argument(
        "--application-client-id",
        metavar="ID",
        help="its client id here; made up, if a new application is given none",
    )
    here.add_argument(
        "--application-client-secret",
        metavar="SECRET",
        help="its secret here, or - to read it; made up and printed once, if a new application is "
        "given none",
    )
    here.add_argument(
        "--redirect-uri",
        metavar="URI",
        action="append",
        help="the peer's callback; give it again for another one. Replaces those there were",
    )
    here.add_argument(
        "--application-field",
        metavar="NAME=VALUE",
        action="append",
        help="a field of this site's own application model; give it again for another one",
    )


def add_django_flags(parser: CommandParser) -> None:
    """Let what Django accepts before the action stand behind it as well."""
    for flag in ("--settings", "--pythonpath"):
        parser.add_argument(flag, default=SUPPRESS, help=SUPPRESS)
    for flag in ("--traceback", "--no-color", "--force-color", "--skip-checks"):
        parser.add_argument(flag, action="store_true", default=SUPPRESS, help=SUPPRESS)
    parser.add_argument(
        "-v", "--verbosity", type=int, choices=range(4), default=SUPPRESS, help=SUPPRESS
    )


def _own_fields() -> dict[str, Any]:
    """The fields of the site's application model that have no flag of their own."""
    fields = get_application_model()._meta.concrete_fields
    return {
        field.name: field
        for field in fields
        if field.editable and not field.primary_key and field.name not in APPLICATION_FLAGS
    }


def application_flags() -> dict[str, str]:
    """The flag of every field of an application that can be given."""
    own = {name: f"--application-field {name}" for name in _own_fields()}
    return {**own, **APPLICATION_FLAGS}


def application_fields(given: Sequence[str] | str | None) -> dict[str, Any]:
    """What ``--application-field`` gives: attribute of the application to value.

    :raises CommandError: there is no such field, or it cannot have such a value.
    """
    values: dict[str, Any] = {}
    known = _own_fields()
    for text in [given] if isinstance(given, str) else given or ():
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise CommandError(
                f"--application-field: Give NAME=VALUE, with one of: {', '.join(sorted(known))}."
            )
        try:
            # Of a relation, the key.
            values[known[name].attname] = known[name].to_python(value)
        except ValidationError as error:
            reasons = " ".join(error.messages)
            raise CommandError(f"--application-field {name}: {reasons}") from error
    return values


def option(flag: str) -> str:
    """The name under which the value of ``flag`` is found among the options."""
    return flag.lstrip("-").replace("-", "_")


def read_secrets(options: dict[str, Any]) -> None:
    """Put the secrets that are given as ``-`` into ``options``.

    :raises CommandError: standard input ends before.
    """
    for flag in SECRET_FLAGS:
        if options[option(flag)] != "-":
            continue
        if sys.stdin.isatty():
            secret = getpass.getpass(f"{flag}: ")
        else:
            secret = sys.stdin.readline().rstrip("\r\n")
        if not secret:
            raise CommandError(f"{flag}: standard input holds no line for it.")
        options[option(flag)] = secret
