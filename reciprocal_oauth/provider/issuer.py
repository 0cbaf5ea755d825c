"""The issuer in authorization responses (RFC 9207)."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

#: RFC 9207, section 2.
_ISS = "iss"


def add_issuer(uri: str, issuer: str) -> str:
    """``uri``, an authorization response, with ``iss``: "In authorization responses to the client,
    including error responses" (section 2).

    There is one in the end, where the response stands: in the query, or in the fragment of a
    response that has one. Another one, from the redirect URI itself, goes; what is right stays byte
    for byte what it was.
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
