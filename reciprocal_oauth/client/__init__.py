"""The modules with which this site acts as an OAuth client of the peer.

- ``http``: the HTTP client that sends every request of this app to a peer.
- ``addresses``: looks up a peer's host name and checks its IP addresses (RFC 6890).
- ``racing``: tries several addresses and keeps the connection that is ready first (RFC 8305).
- ``connection``: opens connections to checked addresses and closes them at a deadline.
- ``capped``: limits the length of a response body, in bytes.
- ``failures``: says in a sentence why a request failed.
- ``token_endpoint``: sends requests to the peer's token endpoint (RFC 6749, sections 4.1.3, 5, 6).
- ``id_token``: checks an ID token (OpenID Connect Core 1.0, section 3.1.3.7).
- ``userinfo``: reads the name of an account at the peer (OpenID Connect Core 1.0, section 5.3).
- ``account_endpoint``: reads this name from an endpoint of the peer's own API.
- ``image``: fetches an image of the peer, such as its logo.
- ``image_size``: reads how many pixels an image has.
- ``discovery``: reads the peer's metadata (RFC 8414; OpenID Connect Discovery 1.0).
- ``registration``: registers this site at another site, and manages the registration (RFC 7591;
  RFC 7592).
- ``key_fetching``: fetches the public keys of a peer, and keeps them (RFC 7517, section 5).
- ``retry_after``: reads the ``Retry-After`` header (RFC 9110, section 10.2.3).
"""
