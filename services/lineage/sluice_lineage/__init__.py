"""The lineage process: where lots come from. Knows containers and their ancestry, no page and no dataset."""
