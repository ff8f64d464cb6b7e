"""Images and the views made of them; the only place pairs are made."""
