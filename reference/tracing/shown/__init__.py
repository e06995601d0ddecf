"""A trace as a tree on the terminal, as JSON, and as a page. What it found is in the room above."""
