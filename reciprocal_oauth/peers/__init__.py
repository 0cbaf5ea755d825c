"""The modules with which an administrator sets up a peer.

- ``application``: the application of the peer, which is its registration as a client of this site.
- ``application_secret``: replaces the client secret of this application.
- ``connection_check``: checks whether the peer is set up correctly, mostly with requests to it.
- ``findings``: the checks, and their results.
- ``preset_values``: fills the fields of a peer from the preset of its vendor.
- ``discovery``: fills the fields of a peer from the peer's metadata.
- ``foreign_registration``: registers this site at a server that knows only RFC 7591.
- ``reconfiguration``: revokes tokens and breaks links if the address, the client ID or the
  application of the peer changes.
- ``save_warnings``: warns of values that can be saved, but that may not work.
- ``sheet``: lists the values that the administrator of the peer must enter at their site.
"""
