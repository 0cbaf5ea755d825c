"""The introduction of the API in the OpenAPI schema: what it is for, how to authenticate, what the
errors look like, and which requests follow each other.

A site adds it to the hooks of drf-spectacular::

    SPECTACULAR_SETTINGS = {
        "POSTPROCESSING_HOOKS": [
            "drf_spectacular.hooks.postprocess_schema_enums",
            "reciprocal_oauth.api.openapi_introduction.add_introduction",
        ],
    }
"""

from typing import Any

PEERS, CONNECTING, LINKS = "Connections: peers", "Connections: connecting", "Connections: links"

_PEERS = """The other sites that a person can connect, and whether they have done so."""

_CONNECTING = """A connection is made in a browser, because the person signs in at the other site.

- **A front end with a session** calls `connect` and sends its own browser to `authorization_url`.
- **An app with an access token** calls `start` and opens `url` in the browser of the system (RFC
  8252). That browser must be signed in as the same person.

Afterwards, the browser returns to `return_to`. Read the link then: the query is only a hint."""

_LINKS = """What each side may do for the person, and whether it works.

**Authentication.** Send the session cookie (changes need the CSRF token in `X-CSRFToken`), or an
access token of the person in the header `Authorization: Bearer …`. Reading and changing need a
scope each. A person sees only their own links.

**A usual walk.**

1. `GET peers/`, then `connect` or `start`: the browser goes to the peer and comes back.
2. `GET links/<id>/`. If it has a `question`, answer it: `POST links/<id>/consent/`. After `start`,
   this site has asked already.
3. Read the link until `is_two_way` is true. Later: `PUT links/<id>/scopes/`, `DELETE links/<id>/`.
   `next_step` says what the person can do.

**Errors** are problem details (RFC 9457, `application/problem+json`): `code` is for programs,
`detail` for people, and `errors` lists the fields that are wrong. After 429 and 503, wait as many
seconds as `Retry-After` says. After 409, read the link again: the person has seen an old state."""

_TAGS = {PEERS: _PEERS, CONNECTING: _CONNECTING, LINKS: _LINKS}


def add_introduction(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add the descriptions of our tags to the schema, after the tags of the site."""
    own = [tag for tag in result.get("tags", []) if tag["name"] not in _TAGS]
    ours = [{"name": name, "description": text} for name, text in _TAGS.items()]
    return {**result, "tags": [*own, *ours]}
