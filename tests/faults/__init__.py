"""Links many users at two real sites while the network between them misbehaves and workers are
killed, and checks in the end that nothing was lost and nothing was done twice.

::

    python -m tests.faults --links 2000 --seed 1
    python -m tests.faults --links 10000 --seed 1 --database postgres://postgres@127.0.0.1:5432/test

- ``plan``: what each person does, by the seed.
- ``databases``, ``population``: a fresh database per site, and people who have come halfway.
- ``sites``, ``dispatchers``: the processes of a site, and who delivers in them.
- ``proxy``, ``kinds``: the network between the sites, and the ways in which it misbehaves.
- ``people``: the decisions, made inside of the site where the people started.
- ``processes``: the processes of a run, what they use, and their violent end.
- ``invariants``, ``both``, ``traces``: what must hold of one site, of both, and of what they wrote.
- ``run``, ``report``: all of it in order, and what came out.
"""
