"""The words that a right cause of each named mistake holds."""

DUES: dict[tuple[str, str], str] = {}
