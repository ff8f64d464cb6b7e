"""What an encoder is worth to its user: published evaluation protocols, each with settings, a version and its rows."""
