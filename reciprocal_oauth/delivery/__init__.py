"""Works on the rows of the outbox and the inbox. It does not know what a row delivers.

- ``results``: what one attempt at a row results in.
- ``queue``: claims rows with a lease and stores results.
- ``worker``: claims due rows, calls the handler that a party registered, stores the result.
- ``pausing``: stops and resumes the delivery to a peer.
- ``engine``: threads of one process that claim rows and work on them.
- ``dispatchers``: decide who runs the worker: threads of the web process, the caller, nobody.
- ``message_dispatcher``: base of the dispatchers that send messages to worker processes.
- ``receivers``: receivers of signals.

All work is stored in rows. A dispatcher only makes sure that a worker looks at them soon. The time
of the next attempt comes from :mod:`reciprocal_oauth.core.retry_policy`.
"""
