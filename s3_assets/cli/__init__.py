"""The command line `s3-assets`: parsing and printing only."""
