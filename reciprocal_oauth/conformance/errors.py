"""Errors of the person who uses the tester."""


class UsageError(Exception):
    """The command line or the configuration is wrong. ``str()`` says what was expected."""
