"""What is deployed: one folder per function; they never import each other."""
