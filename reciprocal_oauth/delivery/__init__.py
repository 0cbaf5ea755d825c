"""The delivery of the rows in two queues: the outbox (reciprocal codes and revocations that this
site sends) and the inbox (reciprocal codes that this site has received and redeems).

- ``queue``: claims rows with a lease (a claim that expires) and stores results.
- ``worker``: claims due rows, calls the handler that ``party_a`` or ``party_b`` has registered, and
  stores the result.
- ``pausing``: pauses and resumes the delivery to a peer.
- ``engine``: threads of one process that claim rows and work on them.
- ``dispatchers``: classes that decide where the worker runs, for example in threads of the web
  process or only in a management command.
- ``message_dispatcher``: the base class of dispatchers that send messages to worker processes.
- ``receivers``: receivers of signals.

The rows store everything that must be delivered. A dispatcher only makes a worker look for due rows
soon. :mod:`reciprocal_oauth.core.retry_policy` computes the time of the next attempt.
"""
