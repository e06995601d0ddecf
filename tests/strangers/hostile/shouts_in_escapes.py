"""Raises a message that would clear the screen and pose as markup."""


def relu_forward(x):
    raise ValueError("\x1b[2J\x1b]0;owned\x07[bold]ok[/bold] [/nothing]\r\n<script>alert(1)</script>" + "x" * 10_000)


def relu_backward(dout, cache):
    return dout
