"""Is this deployment fit to run? Each thing that it leans on is tried with the calls that the pipeline makes.

One module for each area; each is a generator of `findings`. `checkup` puts them in order and bounds them. What a
finding looks like in a terminal is the CLI's business. The invariants: the source is only read; below the target
nothing is written but scratch keys that are removed again; no secret is in a finding.
"""
