"""Removes secrets from error reports and log records."""
