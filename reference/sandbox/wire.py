"""Messages between two processes of which one is not trusted: a JSON header of known form, then raw array bytes.

A frame is 16 bytes (magic, length of the header, length of the body), the header, and the arrays' bytes in C order.
Nothing is unpickled, and nothing is allocated before the header has been found sound.
"""

import json
import math
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratchproof.sandbox.failures import LARGEST
from scratchproof.vjp import Array

PREFIX = struct.Struct("<4sIQ")
MAGIC = b"spf1"
LARGEST_HEADER = 2**18
LARGEST_BODY = LARGEST
MOST_ARRAYS = 256
_FLOATS = (np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128, np.clongdouble)
_WHOLE = (np.bool, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)
DTYPES = {np.dtype(kind).str: np.dtype(kind) for kind in (*_FLOATS, *_WHOLE)}


class Malformed(Exception):
    """What was read is no message."""


class TooLarge(Exception):
    """The arrays are larger than one message may be. The text says which and how large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`what` is a dictionary of JSON values, `arrays` whatever arrays belong to it."""

    what: dict[str, Any]
    arrays: list[Array] = field(default_factory=list)


def send(channel: socket.socket, message: Message, deadline: float | None = None) -> None:
    """Write one frame. Raises: TooLarge, OSError; TimeoutError past the deadline (a `time.monotonic`)."""
    arrays = [_native(array) for array in message.arrays]
    if sum(array.nbytes for array in arrays) > LARGEST_BODY:
        raise TooLarge(", ".join(f"{a.shape} of {a.dtype}" for a in arrays if a.nbytes > LARGEST_BODY // MOST_ARRAYS))
    header = json.dumps({"what": message.what, "arrays": [_form(array) for array in arrays]}).encode()
    if len(header) > LARGEST_HEADER:
        raise TooLarge(f"a header of {len(header):,} bytes")
    body = b"".join(array.tobytes() for array in arrays)
    _write(channel, PREFIX.pack(MAGIC, len(header), len(body)) + header + body, deadline)


def receive(channel: socket.socket, deadline: float | None = None) -> Message:
    """Read one frame. Raises: Malformed, EOFError, OSError; TimeoutError past the deadline."""
    magic, header_length, body_length = PREFIX.unpack(_read(channel, PREFIX.size, deadline))
    if magic != MAGIC or header_length > LARGEST_HEADER or body_length > LARGEST_BODY:
        raise Malformed("not the beginning of a message")
    try:
        header = json.loads(bytes(_read(channel, header_length, deadline)))
    except (ValueError, RecursionError):
        raise Malformed("the header is not JSON") from None
    if not isinstance(header, dict) or not isinstance(header.get("what"), dict):
        raise Malformed("the header is no object")
    forms = _sound(header.get("arrays"), body_length)
    return Message(what=header["what"], arrays=_arrays(forms, _read(channel, body_length, deadline)))


@dataclass(frozen=True, slots=True)
class _Form:
    """What is known of an array before its bytes are: shape, and how it lies in memory."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    writeable: bool

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def _form(array: Array) -> list[Any]:
    return [array.dtype.str, array.shape, array.strides, array.flags.writeable]


def _sound(forms: Any, length: int) -> list[_Form]:
    if not isinstance(forms, list) or len(forms) > MOST_ARRAYS:
        raise Malformed("no list of arrays")
    sound = [_sound_form(form) for form in forms]
    if sum(form.nbytes for form in sound) != length:
        raise Malformed("the arrays do not fill the body")
    return sound


def _sound_form(form: Any) -> _Form:
    if not isinstance(form, list) or len(form) != 4:
        raise Malformed("no form of an array")
    dtype, shape, strides, writeable = form
    if type(dtype) is not str or dtype not in DTYPES or not isinstance(writeable, bool):
        raise Malformed("no form of an array")
    if not (
        _integers(shape) and _integers(strides) and len(shape) == len(strides) <= 32 and min(shape, default=0) >= 0
    ):
        raise Malformed("no shape of an array")
    return _Form(DTYPES[dtype], tuple(shape), tuple(strides), writeable)


def _integers(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and abs(item) < 2**62 for item in value)


def _arrays(forms: Sequence[_Form], body: bytearray) -> list[Array]:
    found, start = [], 0
    for form in forms:
        flat = np.frombuffer(body, form.dtype, math.prod(form.shape), start)
        found.append(_laid_out(flat.reshape(form.shape), form))
        start += form.nbytes
    return found


def _laid_out(values: Array, form: _Form) -> Array:
    """The values in memory of their own that lies as the sender's did."""
    if values.strides == form.strides or not values.size or (reach := _reach(form)) > 64 * values.nbytes:
        array = values.copy()
    else:
        buffer = np.zeros(reach, np.uint8)
        start = sum((n - 1) * -step for n, step in zip(form.shape, form.strides, strict=True) if step < 0)
        array = np.ndarray(form.shape, form.dtype, buffer.data, start, form.strides)
        array[...] = values
    array.flags.writeable = form.writeable
    return array


def _reach(form: _Form) -> int:
    """The bytes from the first element to the end of the last."""
    return sum((n - 1) * abs(step) for n, step in zip(form.shape, form.strides, strict=True)) + form.dtype.itemsize


def _native(array: Array) -> Array:
    array = np.asarray(array)
    if array.dtype.str in DTYPES:
        return array
    native = array.dtype.newbyteorder("=")
    if native.str not in DTYPES:
        raise Malformed(f"an array of {array.dtype} cannot be sent")
    return array.astype(native)


def _read(channel: socket.socket, length: int, deadline: float | None) -> bytearray:
    data = bytearray(length)
    view, done = memoryview(data), 0
    while done < length:
        _wait(channel, deadline)
        count = channel.recv_into(view[done:])
        if not count:
            raise EOFError
        done += count
    return data


def _write(channel: socket.socket, data: bytes, deadline: float | None) -> None:
    view = memoryview(data)
    while view:
        _wait(channel, deadline)
        view = view[channel.send(view) :]


def _wait(channel: socket.socket, deadline: float | None) -> None:
    if deadline is None:
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    channel.settimeout(left)
