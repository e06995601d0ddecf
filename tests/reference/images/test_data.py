"""Loading images: every source, the split, the cache, and what is said when something is wrong."""

import hashlib
import pickle
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from torchvision.datasets import CIFAR10

from scratchproof.images.data import DataError, Images, cs231n_split, load, load_split

PER_BATCH = 12
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
BATCHES = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]


def random_images(n: int, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)


def write_tree(root: Path, per_class: int, *, seed: int = 0, names: tuple[str, ...] = ("cat", "dog")) -> None:
    """PNG files whose pixels are known: image k of class c is filled with 10 * c + k."""
    for label, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for k in range(per_class):
            pixels = np.full((32, 32, 3), 10 * label + k, np.uint8)
            Image.fromarray(pixels).save(root / name / f"{k:04d}.png")


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A miniature CIFAR-10 in the genuine format, with torchvision told of its checksums."""
    folder = tmp_path / "root" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    sums = {}
    for seed, name in enumerate(BATCHES):
        labels = [int(label) for label in np.random.default_rng(seed).integers(0, 10, PER_BATCH)]
        rows = random_images(PER_BATCH, seed).reshape(PER_BATCH, 3072)
        content = {"batch_label": name, "labels": labels, "data": rows, "filenames": ["x.png"] * PER_BATCH}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    meta = {"label_names": NAMES, "num_cases_per_batch": PER_BATCH, "num_vis": 3072}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))
    meta_sum = hashlib.md5((folder / "batches.meta").read_bytes()).hexdigest()
    monkeypatch.setattr(CIFAR10, "train_list", [[name, sums[name]] for name in BATCHES[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [[name, sums[name]] for name in BATCHES[5:]])
    monkeypatch.setattr(CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": meta_sum})
    return folder.parent


def test_cifar10_comes_in_the_archives_order_and_layout(archive: Path, tmp_path: Path) -> None:
    images = load("cifar10", root=archive, cache=tmp_path / "cache")
    expected = np.concatenate([random_images(PER_BATCH, seed) for seed in range(5)])
    np.testing.assert_array_equal(images.train_images, expected)
    np.testing.assert_array_equal(images.test_images, random_images(PER_BATCH, 5))
    assert images.class_names == tuple(NAMES)
    assert images.train_labels.dtype == np.int64
    assert "original" in images.description


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Say nothing on standard error."""


@contextmanager
def served(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve `folder` on this machine's own address; yields the URL."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_cifar10_is_downloaded_when_asked(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = tmp_path / "cifar.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(archive / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setattr(CIFAR10, "filename", packed.name)
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(packed.read_bytes()).hexdigest())
    with served(tmp_path, monkeypatch) as address:
        monkeypatch.setattr(CIFAR10, "url", f"{address}/{packed.name}")
        images = load("cifar10", root=tmp_path / "fresh", download=True, cache=tmp_path / "cache")
    assert len(images.train_labels) == 5 * PER_BATCH


def test_cifar10_missing_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fetch it with --download"):
        load("cifar10", root=tmp_path, cache=tmp_path)


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
def test_a_truncated_cifar10_is_refused(archive: Path, tmp_path: Path, name: str) -> None:
    path = archive / "cifar-10-batches-py" / name
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=rf"{name} is not the original: its MD5 is .* is due: delete it and fetch it"):
        load("cifar10", root=archive, cache=tmp_path / "cache")


def test_an_archive_without_a_file_is_refused_by_its_name(archive: Path, tmp_path: Path) -> None:
    (archive / "cifar-10-batches-py" / "data_batch_5").unlink()
    with pytest.raises(DataError, match="data_batch_5 cannot be read"):
        load("cifar10", root=archive, cache=tmp_path / "cache")


def test_a_miniature_is_read_when_its_digests_are_given_and_only_then(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even from the cache, where it has been since it was read with its digests."""
    folder = archive / "cifar-10-batches-py"
    digests = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    monkeypatch.undo()  # torchvision knows the original's again
    images = load("cifar10", root=archive, cache=tmp_path / "cache", digests=digests)
    assert len(images.train_labels) == 5 * PER_BATCH
    assert "not the original" in images.description
    split = load_split("cifar10", root=archive, cache=tmp_path / "cache", digests=digests)
    assert split.description == images.description
    due = dict(CIFAR10.train_list)["data_batch_1"]
    with pytest.raises(DataError, match=f"data_batch_1 is not the original: .* but {due} is due"):
        load("cifar10", root=archive, cache=tmp_path / "cache")
    with pytest.raises(DataError, match="digests name data_batch_9"):
        load("cifar10", root=archive, cache=tmp_path / "cache", digests={"data_batch_9": due})


def test_digests_belong_to_cifar10() -> None:
    with pytest.raises(DataError, match="digests belong to cifar10"):
        load("synthetic", digests={})


def test_a_failed_download_is_a_data_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(tmp_path, monkeypatch) as address:
        monkeypatch.setattr(CIFAR10, "url", f"{address}/nothing.tar.gz")
        with pytest.raises(DataError, match="check the network"):
            load("cifar10", root=tmp_path / "fresh", download=True, cache=tmp_path / "cache")


def test_a_folder_with_train_and_test(tmp_path: Path) -> None:
    write_tree(tmp_path / "set" / "train", 5)
    write_tree(tmp_path / "set" / "test", 2)
    images = load(tmp_path / "set", cache=tmp_path / "cache")
    assert images.train_images.shape == (10, 3, 32, 32)
    assert sorted(images.test_images[:, 0, 0, 0].tolist()) == [0, 1, 10, 11]
    assert "lossless" in images.description


def test_a_folder_without_train_holds_every_sixth_image_out(tmp_path: Path) -> None:
    write_tree(tmp_path / "set", 6)
    images = load(tmp_path / "set", cache=tmp_path / "cache")
    assert images.test_images[:, 0, 0, 0].tolist() == [5, 15]
    assert len(images.train_labels) == 10


def test_classes_are_mixed_but_each_keeps_its_order(tmp_path: Path) -> None:
    write_tree(tmp_path / "set" / "train", 8)
    write_tree(tmp_path / "set" / "test", 1)
    images = load(tmp_path / "set", cache=tmp_path / "cache")
    grey = images.train_images[:, 0, 0, 0]
    for label in (0, 1):
        assert grey[images.train_labels == label].tolist() == list(range(10 * label, 10 * label + 8))
    assert images.train_labels.tolist() != sorted(images.train_labels.tolist())


def test_the_second_load_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tree(tmp_path / "set", 6)
    first = load_split(tmp_path / "set", cache=tmp_path / "cache")
    monkeypatch.setattr("torchvision.datasets.ImageFolder", None)
    second = load_split(tmp_path / "set", cache=tmp_path / "cache")
    np.testing.assert_array_equal(first.X_train, second.X_train)
    assert first.description == second.description


def test_a_changed_folder_is_decoded_again(tmp_path: Path) -> None:
    write_tree(tmp_path / "set", 6)
    load(tmp_path / "set", cache=tmp_path / "cache")
    (tmp_path / "set" / "cat" / "0000.png").unlink()
    # five cats are left, of which none is the sixth
    assert load(tmp_path / "set", cache=tmp_path / "cache").test_labels.tolist() == [1]


def test_a_torn_cache_is_made_again(tmp_path: Path) -> None:
    write_tree(tmp_path / "set", 6)
    whole = load(tmp_path / "set", cache=tmp_path / "cache").train_images.tolist()
    for path in (tmp_path / "cache").glob("*/train_images.npy"):
        path.write_bytes(path.read_bytes()[:-1000])
    assert load(tmp_path / "set", cache=tmp_path / "cache").train_images.tolist() == whole


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    write_tree(tmp_path / "set", 6)
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert len(load(tmp_path / "set", cache=tmp_path / "cache").train_labels) == 10


def damage_missing(root: Path) -> None:
    shutil.rmtree(root)


def damage_empty_class(root: Path) -> None:
    for path in (root / "cat").iterdir():
        path.unlink()


def damage_truncated(root: Path) -> None:
    path = root / "cat" / "0003.png"
    path.write_bytes(path.read_bytes()[:40])


def damage_text(root: Path) -> None:
    (root / "cat" / "0003.png").write_text("not an image")


def damage_size(root: Path) -> None:
    Image.fromarray(np.zeros((16, 32, 3), np.uint8)).save(root / "dog" / "0003.png")


def damage_half(root: Path) -> None:
    shutil.move(root / "cat", root / "train" / "cat")


@pytest.mark.parametrize(
    ("damage", "needs"),
    [
        (damage_missing, "existing folder"),
        (damage_empty_class, "it needs CLASS"),
        (damage_truncated, "delete it or unpack"),
        (damage_text, "delete it or unpack"),
        (damage_size, "all must have one size"),
        (damage_half, "it needs train/ and test/"),
    ],
)
def test_a_damaged_folder_is_refused_with_advice(tmp_path: Path, damage: object, needs: str) -> None:
    write_tree(tmp_path / "set", 6)
    assert callable(damage)
    damage(tmp_path / "set")
    with pytest.raises(DataError, match=needs):
        load(tmp_path / "set", cache=tmp_path / "cache")


def test_classes_of_train_and_test_must_agree(tmp_path: Path) -> None:
    write_tree(tmp_path / "set" / "train", 2)
    write_tree(tmp_path / "set" / "test", 2, names=("cat", "cow"))
    with pytest.raises(DataError, match="cow"):
        load(tmp_path / "set", cache=tmp_path / "cache")


def test_root_belongs_to_cifar10(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="belong to cifar10"):
        load("synthetic", root=tmp_path)


def images_of(n: int) -> Images:
    pixels = random_images(n, 0)
    labels = np.arange(n) % 10
    names = tuple(NAMES)
    return Images(
        train_images=pixels,
        train_labels=labels,
        test_images=pixels[:3],
        test_labels=labels[:3],
        class_names=names,
        description="random",
    )


def test_the_split_takes_the_first_and_the_last_and_their_mean_from_the_first() -> None:
    images = images_of(20)
    split = cs231n_split(images)
    assert (len(split.X_train), len(split.X_val)) == (16, 4)
    mean = (images.train_images[:16].astype(np.int64).sum(axis=0) / 16).astype(np.float32)
    np.testing.assert_array_equal(split.mean_image, mean)
    np.testing.assert_array_equal(split.X_val, images.train_images[16:].astype(np.float32) - mean)
    np.testing.assert_array_equal(split.X_test, images.test_images.astype(np.float32) - mean)
    assert split.X_train.dtype == np.float32
    assert set(split.training()) == {"X_train", "y_train", "X_val", "y_val"}


@pytest.mark.parametrize(("train", "val"), [(0, 1), (1, 0), (20, 1), (15, 6)])
def test_a_split_that_does_not_fit_is_refused(train: int, val: int) -> None:
    with pytest.raises(DataError, match="must be 1 or more and fit in"):
        cs231n_split(images_of(20), num_train=train, num_val=val)


def test_the_synthetic_set_is_the_same_every_time_and_cannot_be_written() -> None:
    images = load()
    assert images.train_images.shape == (5000, 3, 32, 32)
    assert np.bincount(images.train_labels).min() > 0
    assert not images.train_images.flags.writeable
    np.testing.assert_array_equal(images.train_images, load().train_images)
