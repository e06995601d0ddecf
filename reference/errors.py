"""The one kind of error that is told to the user on a line and ends a command with status 2."""


class InputError(ValueError):
    """What was asked cannot be done as asked; the message states the fact and the need."""
