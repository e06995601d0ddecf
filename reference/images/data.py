"""Images and labels: CIFAR-10 through torchvision, any image folder, and a synthetic set that needs no files.

    images = load("synthetic")          # or "cifar10", or the path of an image folder
    split = cs231n_split(images)        # 49,000 / 1,000 / test, float32, mean image subtracted
    split = load_split("synthetic")     # both at once, and the float32 arrays are kept too

Images are uint8 (N, C, H, W), labels int64 (N,). What had to be decoded is kept as raw arrays (see cache.py) and
mapped into memory from then on, so only the first start is slow.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from scratchproof.images import cifar10
from scratchproof.images.cache import Entry, cache_dir, cached, fingerprint
from scratchproof.images.folder import DataError as DataError
from scratchproof.images.folder import listing, pixels, reason
from scratchproof.progress import progress

Array = NDArray[Any]
Labelled = tuple[Array, Array]
INTERLEAVING_SEED = 231
HELD_OUT = 6
# fmt: off
CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """uint8 images (N, C, H, W) and int64 labels (N,) for training and test, and a line for the records."""

    train_images: Array
    train_labels: Array
    test_images: Array
    test_labels: Array
    class_names: tuple[str, ...]
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """What a net is trained and judged on: X float32 (N, C, H, W) less the mean image, y int64 (N,)."""

    X_train: Array
    y_train: Array
    X_val: Array
    y_val: Array
    X_test: Array
    y_test: Array
    mean_image: Array
    class_names: tuple[str, ...]
    description: str

    def training(self) -> dict[str, Array]:
        """The four arrays that a Solver takes; the test images stay out of its sight."""
        return {name: getattr(self, name) for name in ("X_train", "y_train", "X_val", "y_val")}


Stored = TypeVar("Stored", Images, Split)


def load(
    source: str | Path = "synthetic",
    *,
    root: str | Path | None = None,
    download: bool = False,
    cache: str | Path | None = None,
    digests: Mapping[str, str] | None = None,
) -> Images:
    """The images called `source`: "synthetic", "cifar10", or the path of an image folder.

    root: where CIFAR-10's archive lies or shall be put (a folder in the cache by default). download: fetch it
    if it is missing. An image folder holds train/CLASS/* and test/CLASS/*, or CLASS/* alone, from which every
    sixth image of a class is then held out for the test. cache: where to keep what was decoded. digests: MD5 by
    file name, for an archive in CIFAR-10's format that is not the original.

    Raises: DataError.
    """
    if str(source) == "synthetic" and root is None and not download and digests is None:
        return synthetic()
    found = _find(str(source), root, download, cache, digests)
    entry = cached(found.store, found.name, found.fingerprint, lambda: _entry(found.decode()))
    return _restore(Images, entry)


def load_split(
    source: str | Path = "synthetic",
    *,
    root: str | Path | None = None,
    download: bool = False,
    cache: str | Path | None = None,
    digests: Mapping[str, str] | None = None,
) -> Split:
    """`cs231n_split(load(source))`, its float32 arrays kept as well: several processes then share their memory.

    Raises: DataError.
    """
    if str(source) == "synthetic" and root is None and not download and digests is None:
        return cs231n_split(synthetic())
    found = _find(str(source), root, download, cache, digests)

    def make() -> Entry:
        return _entry(cs231n_split(load(source, root=root, cache=cache, digests=digests)))

    return _restore(Split, cached(found.store, f"{found.name}-split", found.fingerprint, make))


def cs231n_split(images: Images, *, num_train: int | None = None, num_val: int | None = None) -> Split:
    """The first 49,000 training images, the last 1,000 for validation, and the test images.

    The order is the set's own. A smaller set gives a fifth of its images to validation; `num_train` and
    `num_val` ask for fewer. The mean image is taken over the training part only.

    Raises: DataError if the set has fewer images than asked for.
    """
    total = len(images.train_labels)
    num_val = min(1000, total // 5) if num_val is None else num_val
    num_train = total - num_val if num_train is None else num_train
    if num_train < 1 or num_val < 1 or num_train + num_val > total:
        need = f"{num_train:,} images to train on and {num_val:,} to validate are asked for"
        raise DataError(f"{need}, but the set has {total:,}: both must be 1 or more and fit in")
    train, val = slice(0, num_train), slice(total - num_val, total)
    # Whole numbers add up exactly, so the mean does not depend on the order of the sum.
    mean = (images.train_images[train].sum(axis=0, dtype=np.uint64) / num_train).astype(np.float32)
    return Split(
        X_train=images.train_images[train] - mean,
        y_train=np.array(images.train_labels[train]),
        X_val=images.train_images[val] - mean,
        y_val=np.array(images.train_labels[val]),
        X_test=images.test_images - mean,
        y_test=np.array(images.test_labels),
        mean_image=mean,
        class_names=images.class_names,
        description=images.description,
    )


@lru_cache(maxsize=1)
def synthetic(*, num_train: int = 5000, num_test: int = 1000, seed: int = 0) -> Images:
    """Ten classes of CIFAR-shaped images that a hidden layer tells apart far better than a linear classifier.

    A class is a faint pattern, which a linear classifier finds, and a stronger one of random sign: that one's
    mean over the class is zero, so only a net that looks for both signs can use it. Smooth noise and fine noise
    lie on top. The arrays are read-only: the last set made is kept for the next caller.
    """
    rng = np.random.default_rng(seed)
    total = num_train + num_test
    faint, signed = _smooth(rng, 10), _smooth(rng, 10)
    labels = rng.integers(0, 10, total)
    sign = rng.choice(np.array([-1, 1], np.float32), total)[:, None, None, None]
    pixels = np.empty((total, 3, 32, 32), np.uint8)
    for block in (slice(start, min(start + 500, total)) for start in range(0, total, 500)):
        noise = 40 * _smooth(rng, len(labels[block]))
        noise += 20 * rng.standard_normal(noise.shape, dtype=np.float32)
        grey = 128 + 4 * faint[labels[block]] + 10 * sign[block] * signed[labels[block]] + noise
        pixels[block] = np.clip(np.rint(grey), 0, 255)
    for array in (pixels, labels):
        array.setflags(write=False)
    return _images(
        (pixels[:num_train], labels[:num_train]),
        (pixels[num_train:], labels[num_train:]),
        tuple(f"pattern {number}" for number in range(10)),
        f"synthetic patterns, seed {seed} (CIFAR-shaped, not photographs)",
    )


def _smooth(rng: np.random.Generator, n: int) -> Array:
    """n random images (n, 3, 32, 32) float32 without detail finer than about four pixels."""
    out: Array = rng.standard_normal((n, 3, 8, 8), dtype=np.float32).repeat(4, axis=2).repeat(4, axis=3)
    for axis in (2, 3):
        out = np.mean([np.roll(out, shift, axis) for shift in (-2, -1, 0, 1, 2)], axis=0)
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """How to decode the images, and under which name they are kept as long as their files stay the same."""

    decode: Callable[[], Images]
    store: Path
    name: str
    fingerprint: str


def _find(
    source: str,
    root: str | Path | None,
    download: bool,
    cache: str | Path | None,
    digests: Mapping[str, str] | None = None,
) -> _Source:
    store, marks = cache_dir() if cache is None else Path(cache), list[tuple[str, int, int]]()
    decode: Callable[[Path], Images] = _decode_folder
    if source == "cifar10":
        folder = store / "cifar10" if root is None else Path(root).expanduser()
        folder, due = cifar10.find(folder, download=download), cifar10.due(digests)
        decode = partial(_decode_cifar10, digests=due)
        marks = [(f"{name} {digest}", 0, 0) for name, digest in due.items()]  # what was decoded by others is not ours
    elif root is None and not download and digests is None:
        folder = Path(source).expanduser()
        if not folder.is_dir():
            raise DataError(f"there is no image folder {folder}: give synthetic, cifar10 or an existing folder")
    else:
        raise DataError(f"download, root and digests belong to cifar10, but the images asked for are {source!r}")
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    return _Source(
        decode=lambda: decode(folder), store=store, name=name, fingerprint=fingerprint([*listing(folder), *marks])
    )


def _decode_cifar10(folder: Path, digests: Mapping[str, str]) -> Images:
    train, test, names = cifar10.decode(folder, digests)
    kind = "the original archive" if digests == cifar10.due(None) else "an archive in its format, not the original"
    return _images(train, test, names, f"CIFAR-10 ({kind})")


def _decode_folder(root: Path) -> Images:
    parts = [root / name for name in ("train", "test") if (root / name).is_dir()]
    if len(parts) == 1:
        raise DataError(f"{root} holds {parts[0].name}/ alone: it needs train/ and test/, or class folders")
    return _decode_parts(root, *parts) if parts else _decode_whole(root)


def _decode_parts(root: Path, train: Path, test: Path) -> Images:
    train_part, names, lossy = _decode_tree(train)
    test_part, test_names, _ = _decode_tree(test)
    if names != test_names:
        raise DataError(f"{train} has the classes {list(names)} but {test} has {list(test_names)}")
    if (one := train_part[0].shape[1:]) != (other := test_part[0].shape[1:]):
        raise DataError(f"training images are {one} but test images {other}: all must have one size")
    return _images(_interleave(*train_part), test_part, names, _describe(root, names, lossy))


def _decode_whole(root: Path) -> Images:
    (pixels, labels), names, lossy = _decode_tree(root)
    rank = np.concatenate([np.arange(n) for n in np.bincount(labels)])
    test = rank % HELD_OUT == HELD_OUT - 1
    if not test.any():
        raise DataError(f"{root} has too few images to hold every sixth out: add some, or use train/ and test/")
    train_part = _interleave(pixels[~test], labels[~test])
    return _images(train_part, (pixels[test], labels[test]), names, _describe(root, names, lossy))


def _interleave(images: Array, labels: Array) -> Labelled:
    """Mix the classes by a fixed seed; within a class the order of the file names stays.

    CIFAR-10's own order is mixed too, and its copies are numbered in that order within each class: so the last
    images of every class, nearly those that CS231n validates on, come last here as well.
    """
    mixed = np.random.default_rng(INTERLEAVING_SEED).permutation(labels)
    order = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        order[mixed == label] = np.flatnonzero(labels == label)
    return images[order], mixed


def _decode_tree(root: Path) -> tuple[Labelled, tuple[str, ...], bool]:
    """Decode CLASS/* under root: (images, labels), the class names, whether there are JPEG files."""
    from torchvision.datasets import ImageFolder

    try:
        found = ImageFolder(str(root))
    except OSError as error:
        raise DataError(f"{root} is no image folder ({reason(error)}): it needs CLASS/*.png or *.jpg") from error
    if len(found.classes) < 2:
        raise DataError(f"{root} has the one class {found.classes[0]}: it needs two, to be told apart")
    paths = [path for path, _ in found.samples]
    images = np.empty((len(paths), *pixels(paths[0]).shape), np.uint8)
    with progress(f"decoding {root}") as advance:
        for row, path in enumerate(paths):
            image = pixels(path)
            if image.shape != images.shape[1:]:
                need = f"others are {images.shape[1:]}: all must have one size"
                raise DataError(f"{path} is {image.shape} but {need}")
            images[row] = image
            advance(row + 1, len(paths))
    lossy = any(path.lower().endswith((".jpg", ".jpeg")) for path in paths)
    return (images, np.array(found.targets, np.int64)), tuple(found.classes), lossy


def _describe(root: Path, names: tuple[str, ...], lossy: bool) -> str:
    kind = "JPEG: lossy copies, not the original bits" if lossy else "lossless files"
    return f"{'CIFAR-10 as an' if names == CIFAR10_CLASSES else root.name} image folder ({kind})"


def _images(train: Labelled, test: Labelled, names: tuple[str, ...], description: str) -> Images:
    return Images(
        train_images=train[0],
        train_labels=train[1],
        test_images=test[0],
        test_labels=test[1],
        class_names=names,
        description=description,
    )


def _entry(value: Images | Split) -> Entry:
    named = {field.name: getattr(value, field.name) for field in fields(value)}
    arrays = {name: array for name, array in named.items() if isinstance(array, np.ndarray)}
    return arrays, {name: rest for name, rest in named.items() if name not in arrays}


def _restore(kind: type[Stored], entry: Entry) -> Stored:
    arrays, about = entry
    return kind(**arrays, class_names=tuple(about["class_names"]), description=about["description"])
