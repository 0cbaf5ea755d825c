"""Removes codes, tokens and client secrets from error reports and log records."""
