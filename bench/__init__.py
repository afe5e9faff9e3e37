"""Benchmarks: what things cost, measured on the machine at hand. `bench/README.md` says how to run them."""
