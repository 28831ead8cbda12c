"""SQL over frames: the check before a statement runs, the locked DuckDB it runs in, and the run itself."""
