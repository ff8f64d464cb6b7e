"""What several processes share: who is who, what they agree on, rows dealt out and gathered."""
