"""The rows of the table, by part; each function runs its benchmark and its peers in turn."""
