"""The keys of this site, with which it proves to peers that it is their client, and what a peer
proves with its keys.

- ``site_keys``: makes, publishes, replaces and retires keys.
- ``key_set``: the public set, which peers fetch (RFC 7517, section 5).
- ``assertions``: signs assertions (RFC 7523, section 2.2).
- ``public_keys``: reads the public keys of a peer (RFC 7517, section 5).
- ``received_assertions``: checks an assertion of a peer (RFC 7523, section 3).
"""
