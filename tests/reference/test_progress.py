"""Progress where there is no terminal: silence for what is quick, and no line that is left hanging."""

import io

from scratchproof.progress import progress


def test_what_is_quick_says_nothing():
    stream = io.StringIO()
    with progress("examining", stream=stream) as advance:
        advance(1, 2)
    assert stream.getvalue() == ""


def test_what_has_said_how_far_it_was_says_that_it_is_done():
    stream = io.StringIO()
    with progress("examining", stream=stream, every=0.0) as advance:
        advance(1, 2)
    assert stream.getvalue() == "examining: 1 of 2\nexamining: done in 0 s\n"


def test_work_goes_on_when_nobody_listens():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    with progress("examining", stream=Gone(), every=0.0) as advance:
        advance(1, 2)
        advance(2, 2)
