"""The files of an image folder: which there are, whether they can be used, and what is in one."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchproof.errors import InputError


class DataError(InputError):
    """The images are missing, incomplete or unreadable; the message says what to do."""


def listing(root: Path) -> Iterator[tuple[str, int, int]]:
    """(relative path, size, modification time) of every file under root, in one fixed order.

    Links are followed, as the reader of the images follows them.
    Raises: DataError for a link to nothing, or to a folder that it lies in.
    """
    for folder, folders, names in os.walk(root, followlinks=True):
        folders.sort()
        for name in folders:
            _refuse_loop(Path(folder, name))
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_symlink() and not path.exists():
                raise DataError(f"{path} is a link to {os.readlink(path)}, which is not there: mend or remove it")
            stat = path.stat()
            yield os.path.relpath(path, root), stat.st_size, stat.st_mtime_ns


def pixels(path: str) -> NDArray[Any]:
    """The image as uint8 (3, H, W). Raises: DataError if it cannot be decoded or has more than 8 bits a channel."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise DataError(f"{path} has more than 8 bits a channel ({image.mode}): convert it to 8 bits")
            return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    except DataError:
        raise
    except (OSError, SyntaxError, ValueError) as error:
        advice = "delete it or unpack the images again"
        raise DataError(f"{path} cannot be decoded ({reason(error)}): {advice}") from error


def reason(error: BaseException) -> str:
    """The first line of what an error says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _refuse_loop(folder: Path) -> None:
    if folder.is_symlink() and folder.resolve() in [parent.resolve() for parent in folder.parents]:
        raise DataError(f"{folder} is a link that leads back to {folder.resolve()}, in which it lies: remove it")
