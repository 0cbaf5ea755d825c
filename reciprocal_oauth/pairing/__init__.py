"""Two sites become peers of each other by one invitation.

Site 1 invites, and site 2 accepts. In the order of the messages:

- ``invitation``: the string that an administrator of site 1 gives to one of site 2.
- ``inviting``: site 1 makes, confirms and withdraws an invitation.
- ``accepting``: site 2 reads an invitation, looks up the site that made it, and accepts.
- ``messages``: the bodies of requests and responses (RFC 7591, sections 2 and 3.2.1).
- ``sending``: one site registers at the other one (RFC 7591, section 3).
- ``answering``: a site answers the registration of the other one.
- ``completion``: the peer and its application are made, when both sites are registered.
- ``plain_client``: the same for a site that knows only RFC 7591, when its endpoints are entered.
- ``configuration``: a site answers what the other one asks about its registration (RFC 7592).
- ``renewing``: a new secret, and the end of a pairing (RFC 7592, sections 2.2 and 2.3).
- ``due``: does what is due, also after a process was killed.
- ``display``: what a site says of itself to people (RFC 7591, section 2).
- ``addresses``: the addresses that another site names of itself.
- ``check_number``: a number that is the same at both sites if both see the same pairing.
"""
