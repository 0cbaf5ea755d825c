"""This site as party A: the user starts here, and this site sends the reciprocal code to the peer,
which is party B.

The modules follow the steps of draft-ietf-oauth-reciprocal-04, section 2, figure 1:

- (A) ``authorization``: the authorization request (RFC 6749, section 4.1.1)
- (B) ``callback``: the authorization response (RFC 6749, section 4.1.2; RFC 9207, section 2)
- ``visit_cookies``: cookies that show whether the authorization response arrives in the browser in
  which the visit was started (RFC 6749, section 10.12)
- ``app_starts``: signed texts with which an app begins a connection in the browser of the system
- ``return_urls``: the URL to which the user returns after an authorization request that was started
  through the JSON API
- (C), (D) ``exchange``: redeem the authorization code (RFC 6749, sections 4.1.3 and 4.1.4)
- ``scope_hint``: the scope that party B asks for (draft, section 2.1)
- ``consent``: the user allows or denies access for party B (draft, section 2.2.1)
- ``snapshot``: refuse a decision of the user if the page on which the user decided is outdated
- (E) ``codes`` and ``send``: create and send the reciprocal code (draft, section 2.2.2)
- ``resending``: send a failed hand-over again, or cancel a hand-over
- ``scope_changes``: the user changes the scope later (draft, section 3)
- (F), (G) ``redemption``: party B redeems the reciprocal code at this site (RFC 6749, sections
  4.1.3 and 4.1.4)

A *visit* is the trip of the user to the peer and back; its row is an ``AuthorizationRequest``. A
*hand-over* is the sending of one reciprocal code to the peer.
"""
