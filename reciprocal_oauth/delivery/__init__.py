"""The machinery that carries hand-overs through. It knows rows and outcomes, not the parties.

- ``outcomes``: what a step can come to.
- ``retry``: the pure policy: outcome and attempts in, time of the next attempt out.
- ``queue``: claims rows with a lease, and records outcomes.
- ``worker``: claims due rows, runs the step that a party registered, records.
- ``pausing``: peers that are left alone until an administrator has seen to them.
- ``engine``: threads of one process that claim and work.
- ``dispatchers``: who starts the worker: threads of the web process, the caller, nobody.

The row is the truth; a dispatcher only makes it prompt.
"""
