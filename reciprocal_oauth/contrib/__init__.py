"""Optional dispatchers: classes that make worker processes deliver codes and revocations to peers.

Each of them needs an additional package, or a newer version of Django than the rest of this app.

A module of this package is imported only if the site chooses it with the setting ``DISPATCHER``.
"""
