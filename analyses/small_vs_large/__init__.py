"""Small against large backbones, trained by the same recipe."""
