"""Carries a plan out: in what order and at what pace, verified, resumable, reported."""
