"""Benchmarks: parts with pytest-benchmark (micro/), whole paths beside peers with `python -m benchmarks`."""
