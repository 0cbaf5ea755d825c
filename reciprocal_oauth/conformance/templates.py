"""Writes a configuration to start with. Its secrets are made up."""

import os
from pathlib import Path
from typing import Final

from . import made_up
from .config import DEFAULT_LISTEN
from .errors import UsageError

_B: Final = """\
# Configuration of a test of a party B: the site that is handed a code and redeems it.
# The tester is party A. Test it with:
#     python -m reciprocal_oauth.conformance b --config THIS-FILE
# A value can be "env:NAME": then it is taken from the environment.

[subject]
# With an issuer, leave the endpoints out that its metadata name (RFC 8414).
# issuer = "http://127.0.0.1:8000"
authorization_endpoint = "http://127.0.0.1:8000/authorize"
token_endpoint = "http://127.0.0.1:8000/token"
# reciprocal_endpoint = "..."       # if it takes hand-overs elsewhere than at its token endpoint
# revocation_endpoint = "http://127.0.0.1:8000/revoke"
# api = "http://127.0.0.1:8000/api/me"                   # an address that needs its access token
users = ["alice", "bob"]          # with one user, some checks are not tested
# pkce = false                    # if it refuses code_challenge

# Register this at party B: it is how party B redeems the tester's codes.
[subject.at_tester]
client_id = "party-b"
client_secret = "{subject_secret}"

[tester]
listen = "{listen}"
# public_url = "https://tester.example"       # if party B reaches it by another address
# tls_cert = "tester.pem"         # with https: its certificate, which party B must trust,
# tls_key = "tester.key"          # and the key
# ca = "ca.pem"                   # who issued party B's certificate

# The client that party B has for the tester.
[tester.at_subject]
client_id = "tester"
client_secret = "{tester_secret}"
auth = "basic"                    # or "body": client_secret in the body
scope = ""                        # what the tester asks
reciprocal = ""                   # the scope that party B asks of the tester

# A second client: without it, what belongs to another client is not tested.
# [tester.at_subject.second]
# client_id = "tester-2"
# client_secret = "{second_secret}"
{waits}
# How a user allows access at party B, uses the connection, and ends it.
[driver]
kind = "ask"                      # a person does it; see the documentation for follow, forms,
                                  # playwright and command
"""

_A: Final = """\
# Configuration of a test of a party A: the site that asks its user and hands a code over.
# The tester is party B. Test it with:
#     python -m reciprocal_oauth.conformance a --config THIS-FILE
# A value can be "env:NAME": then it is taken from the environment.

[subject]
# With an issuer, leave the endpoints out that its metadata name (RFC 8414).
# issuer = "http://127.0.0.1:8000"
token_endpoint = "http://127.0.0.1:8000/token"
# authorization_endpoint = "..."    # for A-CODE-12: an ordinary code still needs its verifier
# revocation_endpoint = "http://127.0.0.1:8000/revoke"
# Addresses of its API, each with the scope that it needs:
# api = [
#     {{ url = "http://127.0.0.1:8000/api/me", scope = "profile" }},
# ]
users = ["alice", "bob"]          # with one user, some checks are not tested
# checks_iss = true               # if it compares iss (RFC 9207)

# Register this at party A: the client that it is at the tester.
[subject.at_tester]
client_id = "party-a"
client_secret = "{subject_secret}"
redirect_uri = "http://127.0.0.1:8000/callback"

[tester]
listen = "{listen}"
# public_url = "https://tester.example"       # if party A reaches it by another address
# tls_cert = "tester.pem"         # with https: its certificate, which party A must trust,
# tls_key = "tester.key"          # and the key
# ca = "ca.pem"                   # who issued party A's certificate

# The client that party A has for the tester: it redeems the codes.
[tester.at_subject]
client_id = "tester"
client_secret = "{tester_secret}"
auth = "basic"                    # or "body": client_secret in the body
scope = "read write"              # what the tester asks by `reciprocal`: better two scopes
# other_scope = "..."               # one that it may grant too
# agreed_scope = "..."              # what it grants if nothing is asked

# A second client: without it, what belongs to another client is not tested.
# [tester.at_subject.second]
# client_id = "tester-2"
# client_secret = "{second_secret}"
{waits}
# How a user links, answers the question, changes the scope, and ends the link.
[driver]
kind = "ask"                      # a person does it; see the documentation for follow, forms,
                                  # playwright and command
"""

_WAITS: Final = """
[waits]                           # seconds
redeem = 30                       # at most, for party B to redeem a code
send = 30                         # at most, for party A to hand a code over
quiet = 3                         # without a request, until it counts as not sent
retry = 60                        # at most, for a request to be sent again
max_wait = 120                    # at most, where the subject asks to wait, or a life must end
# code_lifetime = 60              # the life of party A's codes, so that their end is tested
person = 300                      # at most, for a person to do something
"""


def template(role: str) -> str:
    """Return a commented configuration for the test of a party ``a`` or ``b``."""
    return (_A if role == "a" else _B).format(
        subject_secret=made_up.secret(),
        tester_secret=made_up.secret(),
        second_secret=made_up.secret(),
        listen=DEFAULT_LISTEN,
        waits=_WAITS,
    )


def write_new(path: Path, content: str) -> None:
    """Write a file that only its owner can read, and that does not exist yet.

    :raises UsageError: it exists, or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"{path} exists. Its secrets may be in use, so it is kept.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
