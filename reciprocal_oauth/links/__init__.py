"""The link between a user's accounts at this site and at a peer: its state, the access of the peer
to this site (incoming access), and the access of this site to the peer (outgoing access)."""
