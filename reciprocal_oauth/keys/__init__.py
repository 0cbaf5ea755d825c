"""The keys of this site, with which it proves to peers that it is their client.

- ``site_keys``: makes, publishes, replaces and retires keys.
- ``key_set``: the public set, which peers fetch (RFC 7517, section 5).
- ``assertions``: signs assertions (RFC 7523, section 2.2).
"""
