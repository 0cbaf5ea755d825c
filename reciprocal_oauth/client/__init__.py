"""Being an OAuth client of the peer: the HTTP client, token requests, discovery.

- ``http``: the HTTP client. Every request of this app leaves through it.
- ``addresses``: looks up a peer's host name and checks the addresses (RFC 6890).
- ``racing``: connects to the address that responds first (RFC 8305).
- ``connection``: connections to a checked address, with a deadline.
- ``capped``: a response body with a limit in bytes.
- ``failures``: says in a sentence why a request failed.
- ``token_endpoint``: requests to the peer's token endpoint (RFC 6749, sections 4.1.3, 5 and 6).
- ``id_token``: checks an ID token (OpenID Connect Core 1.0, section 3.1.3.7).
- ``userinfo``: reads the account's name (OpenID Connect Core 1.0, section 5.3).
- ``discovery``: the peer's metadata (RFC 8414; OpenID Connect Discovery 1.0).
- ``retry_after``: the ``Retry-After`` header (RFC 9110, section 10.2.3).
"""
