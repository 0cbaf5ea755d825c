"""The admin: peers are set up here; what the protocol writes can be looked at.

- ``peers``: a peer; ``peer_form`` its form, ``peer_look_up`` and ``peer_test_page`` what is asked
  of the other site, ``peer_sheet`` what to give to it
- ``links``: links and their history
- ``deliveries``: both queues and the ledger of codes
- ``overview_page``: how links and hand-overs are doing
- ``asking``: actions that ask before they do something
- ``look_at_only``: what rows have in common that only the protocol writes

Visits under way (``AuthorizationRequest``) are nobody's business and are not registered.
"""

from . import deliveries, links, peers

__all__ = ["deliveries", "links", "peers"]
