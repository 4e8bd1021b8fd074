"""Micro-benchmarks of the parts: `pytest benchmarks --benchmark-only`."""
