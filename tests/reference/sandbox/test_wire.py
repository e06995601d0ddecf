"""Frames between two processes: what is sent arrives, and what is no frame is refused before anything is allocated."""

import json
import socket
import time

import numpy as np
import pytest

from scratchproof.sandbox import wire


@pytest.fixture
def channel():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def there(channel, *arrays, **what):
    ours, theirs = channel
    wire.send(ours, wire.Message(what=what, arrays=list(arrays)))
    return wire.receive(theirs)


LAID_OUT = {
    "C order": np.arange(6.0).reshape(2, 3),
    "Fortran order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "every other": np.arange(24.0).reshape(4, 6)[::2, ::3],
    "reversed": np.arange(6)[::-1],
    "broadcast": np.broadcast_to(np.float32(2), (3, 4)),
    "a scalar": np.array(1.5),
    "empty": np.zeros((0, 3)),
    "big-endian": np.arange(3, dtype=">f8"),
    "complex": np.array([1 + 2j]),
    "half": np.array([1.5], dtype=np.float16),
}


@pytest.mark.parametrize("name", LAID_OUT)
def test_an_array_arrives_with_its_values_and_its_layout(channel, name):
    sent = LAID_OUT[name]
    (found,) = there(channel, sent).arrays
    np.testing.assert_array_equal(found, sent)
    assert found.dtype == sent.dtype.newbyteorder("=")
    assert found.flags.writeable == sent.flags.writeable
    assert found.strides == sent.strides or sent.size == 0


def test_what_arrives_is_the_receivers_own(channel):
    sent = np.zeros(3)
    first, second = there(channel, sent, sent).arrays
    first += 1
    assert not second.any()
    assert not sent.any()


def form(dtype="<f8", shape=(1,), strides=(8,), writeable=True):
    return [dtype, list(shape), list(strides), writeable]


def frame(header, body=b"", *, magic=wire.MAGIC, header_length=None, body_length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    lengths = (len(text) if header_length is None else header_length, len(body) if body_length is None else body_length)
    return wire.PREFIX.pack(magic, *lengths) + text + body


FORGED = {
    "another magic": frame({"what": {}, "arrays": []}, magic=b"evil"),
    "a header too long": frame(b"", header_length=2**31),
    "a body too long": frame({"what": {}, "arrays": []}, body_length=2**60),
    "no JSON": frame(b"{"),
    "JSON without end": frame(b"[" * 10_000),
    "no object": frame([1]),
    "no list of arrays": frame({"what": {}, "arrays": 3}),
    "objects": frame({"what": {}, "arrays": [form("|O")]}, bytes(8)),
    "a list for a dtype": frame({"what": {}, "arrays": [form([])]}, bytes(8)),
    "a structure": frame({"what": {}, "arrays": [form("<f8,<f8")]}, bytes(16)),
    "a negative size": frame({"what": {}, "arrays": [form(shape=[-1])]}, bytes(8)),
    "a size that is none": frame({"what": {}, "arrays": [form(shape=[True])]}, bytes(8)),
    "more elements than bytes": frame({"what": {}, "arrays": [form(shape=[10**9])]}, bytes(8)),
    "sizes that overflow": frame({"what": {}, "arrays": [form(shape=[2**33, 2**33], strides=[8, 8])]}, bytes(8)),
    "strides that do not fit": frame({"what": {}, "arrays": [form(strides=[8, 8])]}, bytes(8)),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_is_no_frame_is_refused(channel, name):
    ours, theirs = channel
    ours.sendall(FORGED[name])
    with pytest.raises(wire.Malformed):
        wire.receive(theirs, time.monotonic() + 10)


def test_wild_strides_reach_nothing(channel):
    ours, theirs = channel
    ours.sendall(frame({"what": {}, "arrays": [form(strides=[-(2**40)], shape=[2])]}, np.arange(2.0).tobytes()))
    (found,) = wire.receive(theirs).arrays
    assert found.tolist() == [0.0, 1.0]


def test_what_drips_is_late(channel):
    ours, theirs = channel
    ours.sendall(FORGED["another magic"][:5])
    with pytest.raises(TimeoutError):
        wire.receive(theirs, time.monotonic() + 0.05)


def test_objects_are_not_sent(channel):
    with pytest.raises(wire.Malformed):
        there(channel, np.array([object()]))
