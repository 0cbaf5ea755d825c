"""Optional dispatchers. Each needs another package or a newer version of Django than this app.

A module of this package is imported only if the site chooses it with the setting ``DISPATCHER``.
"""
