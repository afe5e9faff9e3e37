"""What is below deploy/ is right: each file by the program that reads it, as far as it runs here (make test-deploy)."""
