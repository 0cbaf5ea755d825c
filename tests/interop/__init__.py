"""Our site beside authorization servers and clients that others wrote, each as its own process.

Every foreign site speaks the same few addresses, so that one test drives them all, in both roles:

=================  ================================================================================
``/authorize``     its authorization endpoint; whoever comes is signed in as ``alice-there`` and
                   allows everything
``/token``         its token endpoint, with the reciprocal grant where its library can be extended
``/revoke``        its revocation endpoint (RFC 7009)
``/whoami``        a resource: ``{"sub": …, "scope": …}`` for an access token of its own, else 401
``/start``         sends the browser to our authorization endpoint, as a client of our site
``/callback``      its redirect URI: trades the code, mints one of its own and hands it over to us
``/journal``       what has happened, as JSON: ``[{"what": …, …}]``
``/call``          calls our resource with the token that it holds, and answers what it said
=================  ================================================================================

The libraries do the protocol; what stands in the files beside is what their documentation tells a
developer to write. The reciprocal grant itself is in none of them, and is added the documented way.
"""
