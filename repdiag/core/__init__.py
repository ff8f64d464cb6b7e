"""The nouns that both halves share; imports nothing else of repdiag."""
