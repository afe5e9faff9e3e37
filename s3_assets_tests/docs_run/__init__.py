"""Every command in the documents is run, or is in a table that says why not, and what shows that it is right."""
