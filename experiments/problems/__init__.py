"""A bank of problems as kernel benchmarks pose them: modules, right ways to compute them, mistakes and hacks."""
