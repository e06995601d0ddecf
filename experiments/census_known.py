"""What in torch's census deviates, and why: an operation's name and the reason."""

KNOWN: dict[str, str] = {}
