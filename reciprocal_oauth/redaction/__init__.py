"""Keeps secrets out of error reports, log records and what error reporters send."""
