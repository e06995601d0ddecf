"""Folders as people have them: odd links, odd depths of colour, one class, one pixel."""

import numpy as np
import pytest
from PIL import Image

from scratchproof.images.data import DataError, load_split


@pytest.fixture
def folder(tmp_path):
    """Makes an image folder of so many classes from arrays of a shape and dtype; the cache lies beside it."""

    def make(classes="ab", shape=(4, 5, 3), dtype=np.uint8):
        rng = np.random.default_rng(0)
        for name in classes:
            (tmp_path / "set" / name).mkdir(parents=True)
            for number in range(7):
                pixels = rng.integers(0, np.iinfo(dtype).max, shape).astype(dtype)
                Image.fromarray(pixels).save(tmp_path / "set" / name / f"{number}.png")
        return tmp_path / "set"

    return make


def read(path):
    return load_split(path, cache=path.parent / "cache")


@pytest.mark.parametrize("shape", [(1, 1, 3), (4, 5, 3), (4, 5)])
def test_any_size_down_to_a_pixel_and_grey_images_are_read(folder, shape):
    split = read(folder(shape=shape))
    assert split.X_train.shape[1:] == (3, *shape[:2])


def test_sixteen_bits_are_refused_rather_than_clipped_to_white(folder):
    with pytest.raises(DataError, match="more than 8 bits a channel"):
        read(folder(shape=(4, 5), dtype=np.uint16))


def test_one_class_is_refused(folder):
    with pytest.raises(DataError, match="has the one class a: it needs two"):
        read(folder(classes="a"))


@pytest.mark.parametrize(
    ("links", "told"),
    [
        ({"a/up": ".."}, "leads back to"),
        ({"again": "."}, "leads back to"),
        ({"a/there": "../b", "b/and_back": "../a"}, "leads back to"),
        ({"a/8.png": "nowhere.png"}, "link to nowhere.png, which is not there"),
        ({"c": "nowhere"}, "link to nowhere, which is not there"),
        ({"a/round.png": "round.png"}, "which is not there"),
    ],
)
def test_a_loop_of_links_and_a_link_to_nothing_are_told(folder, links, told):
    path = folder()
    for name, target in links.items():
        (path / name).symlink_to(target)
    with pytest.raises(DataError, match=told):
        read(path)


def test_a_link_to_an_image_or_to_a_class_is_one(folder, tmp_path):
    path = folder()
    (path / "a" / "again.png").symlink_to("0.png")
    (tmp_path / "elsewhere").mkdir()
    (path / "b").rename(tmp_path / "elsewhere" / "b")
    (path / "b").symlink_to(tmp_path / "elsewhere" / "b")
    split = read(path)
    assert split.class_names == ("a", "b")
    assert sum(map(len, (split.y_train, split.y_val, split.y_test))) == 15
