"""Adds the issuer identifier of this site to authorization responses (RFC 9207, section 2)."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

#: The name of the parameter with the issuer identifier (RFC 9207, section 2).
_ISS = "iss"


def add_issuer(uri: str, issuer: str) -> str:
    """Add ``iss`` (RFC 9207, section 2) to ``uri``, and return the result. ``uri`` is the redirect
    URI with the parameters of an authorization response or an error response.

    The result contains exactly one ``iss``. It is in the fragment if ``uri`` has a fragment (RFC
    6749, section 4.2.2), and otherwise in the query. An ``iss`` that the client has registered as a
    part of its redirect URI is removed. A ``uri`` that already has the right ``iss`` is returned
    unchanged.
    """
    parts = urlsplit(uri)
    place = "fragment" if parts.fragment else "query"
    found = [
        (name, value)
        for name in ("query", "fragment")
        for key, value in parse_qsl(getattr(parts, name), keep_blank_values=True)
        if key == _ISS
    ]
    if found == [(place, issuer)]:
        return uri
    query, fragment = (_without_issuer(text) for text in (parts.query, parts.fragment))
    added = urlencode({_ISS: issuer})
    if place == "fragment":
        fragment = f"{fragment}&{added}" if fragment else added
    else:
        query = f"{query}&{added}" if query else added
    return urlunsplit(parts._replace(query=query, fragment=fragment))


def _without_issuer(parameters: str) -> str:
    pairs = parse_qsl(parameters, keep_blank_values=True)
    if all(key != _ISS for key, _ in pairs):
        return parameters
    return urlencode([(key, value) for key, value in pairs if key != _ISS])
