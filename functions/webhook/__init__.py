"""Takes in what Meta delivers."""
