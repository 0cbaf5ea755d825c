"""The admin pages of this app. Administrators use them to set up peers (the other sites with which
users can link their accounts), and to view the rows of the other models.

- ``peers`` is the admin of peers. These modules belong to it:

  - ``peer_form`` is the form of a peer
  - ``peer_vendor`` is the choice of the vendor, and the form for a peer of a vendor
  - ``peer_reconfiguration`` asks for confirmation before important changes of a peer
  - ``peer_discovery`` looks up the metadata of a peer
  - ``peer_connection_check`` tests the connection to a peer
  - ``peer_sheet`` is the page with the values that the administrator of the peer needs to
    register this site there
  - ``peer_pairing`` has the buttons that pair this site with another one

- ``pairings`` is the admin of pairings. These modules belong to it:

  - ``pairing_invite`` invites another site
  - ``pairing_accept`` accepts an invitation of another site
  - ``pairing_changes`` renews and ends a pairing, and gets a new client secret
  - ``pairing_forms`` are the forms for both
  - ``pairing_rights`` says who may pair, and has what these pages have in common

- ``links`` is the admin of links and their history
- ``attempts`` is the admin of attempts to connect, with the reasons why they failed
- ``deliveries`` is the admin of the outbox, the inbox and the issued reciprocal codes
- ``site_keys`` is the admin of the keys with which this site signs
- ``overview_page`` is the page with charts: ``statistics`` and ``attempt_statistics`` count the
  rows, ``peer_states`` says how each peer is, and ``bar_charts`` computes the positions of the bars
- ``confirmation`` is for actions that ask for confirmation
- ``read_only`` has base classes for models whose rows nobody may edit in the admin
"""

from . import attempts, deliveries, links, pairings, peers, site_keys

__all__ = ["attempts", "deliveries", "links", "pairings", "peers", "site_keys"]
