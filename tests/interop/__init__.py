"""Our site and authorization servers and clients of other projects, each in its own process.

Every foreign site has the same addresses, so that one test can drive all of them, in both roles:

=================  ================================================================================
``/authorize``     its authorization endpoint; every visitor is signed in as ``alice-there`` and
                   allows everything
``/token``         its token endpoint, with the reciprocal grant if its library can be extended
``/revoke``        its revocation endpoint (RFC 7009)
``/whoami``        a resource: ``{"sub": …, "scope": …}`` for an access token of its own, else 401
``/start``         sends the browser to our authorization endpoint, as a client of our site
``/callback``      its redirect URI: redeems the code, and hands over a code of its own to us
``/journal``       what has happened there, as JSON: ``[{"what": …, …}]``
``/call``          calls our resource with the token that it holds, and returns the response
=================  ================================================================================

The libraries implement the protocol. The files of this folder hold what the documentation of each
library tells a developer to write. No library has the reciprocal grant; it is added in the way that
the library documents for grants of one's own.
"""
