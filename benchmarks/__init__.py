"""Benchmarks. A developer starts them by hand; they print measured times and check no limits."""
