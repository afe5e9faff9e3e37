"""The controller: looks at what is there, compares it with what was last made, and says which hours to make right.

It knows stores and hours, and neither Dagster nor a queue: what was made, what is under way and what fails comes in
as `Records`, what to look at first as hints. Level-triggered: what it remembers is its place in the sweep, and losing
that loses nothing.
"""
