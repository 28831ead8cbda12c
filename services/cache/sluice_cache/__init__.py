"""The cache process: frames in three tiers, and SQL over them. Knows neither datasets nor views."""
