"""Measurements, run by hand: nothing is asserted."""
