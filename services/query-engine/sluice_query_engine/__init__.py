"""The query engine: dataset folders, planning, chunk execution, progress. Frames and SQL over them are the cache's."""
