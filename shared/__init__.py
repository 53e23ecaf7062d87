"""What the functions have in common: nouns, each a file, none of which knows a function."""
