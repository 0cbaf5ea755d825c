"""Party A: the site at which the user starts, and which sends the reciprocal code.

The steps of draft-ietf-oauth-reciprocal-04, section 2, figure 1, in order:

- (A) ``authorization``: the authorization request (RFC 6749, section 4.1.1)
- (B) ``callback``: the authorization response (RFC 6749, section 4.1.2; RFC 9207, section 2)
- ``visit_cookies``: bind a visit to a browser (RFC 6749, section 10.12)
- ``return_urls``: the front end to which the user returns after a visit that the API started
- (C), (D) ``exchange``: redeem the code for tokens (RFC 6749, sections 4.1.3 and 4.1.4)
- ``scope_hint``: the scope that party B asks for (draft, section 2.1)
- ``consent``: the user allows or denies access (draft, section 2.2.1)
- ``snapshot``: a user's answer counts only for what the page has shown
- (E) ``codes`` and ``send``: create a code and send it to party B (draft, section 2.2.2)
- ``resending``: send a failed hand-over again, or cancel one
- ``scope_changes``: the user changes the scope later (draft, section 3)
- (F), (G) ``redemption``: party B redeems the code here (RFC 6749, sections 4.1.3 and 4.1.4)

A *visit* is one round trip of the user to the peer: an ``AuthorizationRequest``.
"""
