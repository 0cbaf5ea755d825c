"""Optional dispatchers: classes that make worker processes deliver the rows of the inbox and the
outbox.

Each dispatcher needs an additional package, or a newer version of Django than the rest of this app.
Its module is imported only if the site chooses the dispatcher with the setting ``DISPATCHER``.
"""
