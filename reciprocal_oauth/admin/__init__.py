"""The pages of the Django admin. Administrators set up peers there, and view everything else.

- ``peers``: the admin of peers. ``peer_form`` is its form, ``peer_reconfiguration`` confirms a new
  address, ``peer_discovery`` looks up metadata, ``peer_connection_check`` tests the connection, and
  ``peer_sheet`` is the page with what to give to the other site
- ``links``: links and their history
- ``deliveries``: both queues, and the issued reciprocal codes
- ``overview_page``: the charts; ``statistics`` counts, ``bar_charts`` computes the bars
- ``confirmation``: actions that ask for confirmation
- ``read_only``: base classes for rows that only the protocol writes

``AuthorizationRequest`` is not registered: what people are doing right now is private.
"""

from . import deliveries, links, peers

__all__ = ["deliveries", "links", "peers"]
