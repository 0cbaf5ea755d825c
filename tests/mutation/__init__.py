"""Mutation testing: would a test notice, if one place of the core were wrong?

Cosmic Ray changes one place of a module at a time, in a copy of the project. The tests that reach
the changed line run, those of the same folder first, until one fails. A mutant that no test notices
survives: it is equivalent to the original, or a test is missing.

::

    pip install -e '.[test,mutation]'
    python -m tests.mutation --count 200 --seed 1
"""
