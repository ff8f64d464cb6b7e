"""Three spaces of the same digits, none of them learned."""
