"""The proof of 'nothing lost, nothing doubled': histories, killed processes, races, and builds broken on purpose."""
