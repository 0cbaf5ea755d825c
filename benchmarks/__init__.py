"""Measurements, run by hand: what is fast enough is for a person to judge."""
