"""The controller: looking, comparing and asking, over a store in memory and a Dagster that is only played."""
