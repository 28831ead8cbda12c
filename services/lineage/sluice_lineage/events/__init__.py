"""Event domains: what happened to containers, by kind, read in batches of ids and kept for a while."""
