"""This site as party B, the site that receives and redeems the reciprocal code.

The person starts at party A, which sends the person to party B to allow access there. The letters
below are the steps in figure 1 of draft-ietf-oauth-reciprocal-04, section 2:

- (A) to (D): Party A gets tokens at party B. DOT handles these requests. ``scope_request`` adds the
  parameter ``reciprocal`` to the responses (draft-ietf-oauth-reciprocal-04, section 2.1), and
  ``link_opening`` creates a link for the tokens.
- (E): Party A sends a reciprocal code. ``grant_type`` is the grant type for this request at the
  token endpoint, and ``receive`` checks and stores the code (draft-ietf-oauth-reciprocal-04,
  section 2.2.2).
- (F) and (G): ``redeem`` exchanges the code for tokens at party A (RFC 6749, sections 4.1.3 and
  4.1.4).
"""
