"""Party A: the site at which the person starts, and which sends the reciprocal code.

The steps of draft-ietf-oauth-reciprocal-04, figure 1, in their order:

- (A) ``authorization``: the authorization request (RFC 6749, section 4.1.1)
- (B) ``callback``: the authorization response (section 4.1.2; RFC 9207)
- ``visit_cookies`` ties it to the browser that began the visit; ``returning``: where it goes on
- (C), (D) ``exchange``: code for access token (sections 4.1.3 and 4.1.4)
- ``scope_hint``: what party B asks for (draft, "Reciprocal Scope Request")
- ``consent``: the person allows or denies (draft, "User Consent")
- (E) ``codes`` mints, ``send`` hands over (draft, "Reciprocal Authorization Code")
- ``resending``: a hand-over that was given up is sent anew, or an administrator stops one
- ``mending``: what mends a link that does not work, or only one way
- ``updates``: the person changes it later (draft, "Authorization Update Flow")
- (F), (G) ``redemption``: party B redeems the code at our token endpoint
"""
