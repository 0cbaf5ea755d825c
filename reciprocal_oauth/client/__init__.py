"""Being an OAuth client of the peer: the one HTTP door, token requests, discovery.

- ``addresses``: which network addresses a peer may have.
- ``http``: everything that leaves this server goes through here.
- ``racing``: a connection to the address that answers first (RFC 8305).
- ``capped``: the body of an answer, up to a number of bytes.
- ``failures``: why no answer came, in a sentence.
- ``token_endpoint``: requests to the peer's token endpoint (RFC 6749, sections 4.1.3, 5 and 6).
- ``id_token``: what the peer says about the account (OpenID Connect Core 1.0, section 3.1.3.7).
- ``userinfo``: what the peer calls the account (OpenID Connect Core 1.0, section 5.3).
- ``discovery``: the peer's metadata (RFC 8414, OpenID Connect Discovery 1.0).
- ``retry_after``: how long a peer asks us to wait (RFC 9110, section 10.2.3).
"""
