"""The tester against parties that others' libraries implement: Authlib and node-oidc-provider.

Each site is a process of its own. Its ``….expected.json`` says which checks do not pass, and why:
that is what the library really does. ``planted.py`` lists mistakes that an implementer can make,
each with the checks that must find it, and differences that the draft allows.
"""
