"""Makes encoders: loop, optimizer, schedule, state that survives a kill."""
