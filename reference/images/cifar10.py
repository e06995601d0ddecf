"""CIFAR-10's archive through torchvision: found, checked file by file against its digests, and decoded.

The digests are those of the original unless others are given, for a miniature of the same format.
"""

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchproof.images.folder import DataError, reason

Labelled = tuple[NDArray[Any], NDArray[Any]]
FOLDER = "cifar-10-batches-py"


def find(root: Path, *, download: bool) -> Path:
    """The archive's folder in `root`, fetched if `download` says so and it is not there.

    Raises: DataError.
    """
    from torchvision.datasets import CIFAR10

    if download:
        try:
            CIFAR10(str(root), download=True)
        except (OSError, RuntimeError, EOFError, ValueError) as error:
            raise DataError(f"CIFAR-10 cannot be fetched to {root} ({reason(error)}): {ADVICE['download']}") from error
    elif not (root / FOLDER).is_dir():
        raise DataError(f"CIFAR-10 is not in {root}: {ADVICE['missing']}")
    return root / FOLDER


def due(digests: Mapping[str, str] | None) -> dict[str, str]:
    """The MD5 digest that each file of the archive must have: the original's, or those given.

    Raises: DataError for digests of files that the archive does not have.
    """
    from torchvision.datasets import CIFAR10

    original = dict((*CIFAR10.train_list, *CIFAR10.test_list, (CIFAR10.meta["filename"], CIFAR10.meta["md5"])))
    if unknown := sorted(set(digests or {}) - set(original)):
        raise DataError(f"digests name {unknown[0]}, but the archive has {', '.join(original)}")
    return original | dict(digests or {})


def decode(folder: Path, digests: Mapping[str, str]) -> tuple[Labelled, Labelled, tuple[str, ...]]:
    """Training part, test part and class names of an archive all of whose files have their digests.

    Images uint8 (N, 3, 32, 32), labels int64 (N,), both in the archive's order.
    Raises: DataError that names the first file that is missing or another, and the digest that was due.
    """
    for name, digest in digests.items():
        _require(folder / name, digest)
    try:
        *train, test = [_batch(folder / name) for name in list(digests)[:-1]]
        names = _unpickled(folder / list(digests)[-1])["label_names"]
    except (KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"{folder} has the digests but not the format of CIFAR-10 ({reason(error)})") from error
    pixels, labels = (np.concatenate(parts) for parts in zip(*train, strict=True))
    return (pixels, labels), test, tuple(names)


def _require(path: Path, due: str) -> None:
    try:
        found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): {ADVICE['other']}") from error
    if found != due:
        raise DataError(f"{path} is not the original: its MD5 is {found}, but {due} is due: {ADVICE['other']}")


def _batch(path: Path) -> Labelled:
    content = _unpickled(path)
    return np.array(content["data"]).reshape(-1, 3, 32, 32), np.array(content["labels"], np.int64)


def _unpickled(path: Path) -> Any:
    # A pickle can run anything: only a file whose digest is known gets here.
    with path.open("rb") as file:
        return pickle.load(file, encoding="latin1")


ADVICE = {
    "download": "check the network and the folder",
    "missing": (
        f"fetch it with --download, point --root at the folder that holds {FOLDER}, or use an image folder"
        " (--data DIR) or --data synthetic"
    ),
    "other": ("delete it and fetch it with --download, or use images of your own as a folder (--data DIR)"),
}
