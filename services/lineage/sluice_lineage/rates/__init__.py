"""How often a client may ask: one bucket for each domain of events, counted in Redis or, without it, in here."""
