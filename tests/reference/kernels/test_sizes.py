"""Sizes are found where a problem says them, and replaced alike everywhere."""

import ast

from scratchproof.kernels.sizes import LEAST, reduced, resized, resized_copy, resized_defaults, sizes_in

SOURCE = """
N = 1024 * 4
K, kernel = 64, 3
shape = (N, 96)

class Model:
    width = 77
    def forward(self, x):
        return x[:88]

def get_inputs(rows=48):
    return [(N, rows)]
"""


def values(tree):
    found = {}
    exec(compile(tree, "", "exec"), found)
    return found


def test_sizes_are_those_of_the_top_and_of_what_draws():
    assert sizes_in(SOURCE) == (48, 64, 96, 4096)
    assert sizes_in(SOURCE, 2) == (3, 48, 64, 96, 4096)


def test_equal_sizes_are_replaced_alike_and_the_model_is_left_alone():
    found = values(resized(SOURCE, {4096: 32, 64: 16, 48: 17, 96: 24}))
    assert (found["N"], found["K"], found["kernel"], found["shape"]) == (32, 16, 3, (32, 24))
    assert found["get_inputs"]() == [(32, 17)]
    assert found["Model"].width == 77


def test_a_candidates_copies_follow_and_its_own_constants_do_not():
    copied = resized_copy("N = 4096\nK = 128\nBLOCK = 64\n", SOURCE, {4096: 32, 64: 16})
    found = values(ast.parse(copied))
    assert (found["N"], found["K"], found["BLOCK"]) == (32, 128, 64)


def test_what_was_different_stays_different_when_it_is_divided():
    found = (64, 128, 4095, 4096)
    way = reduced(found, 64)
    assert len(set(way.values())) == len(way)
    assert all(LEAST <= new <= old for old, new in way.items())
    assert reduced(found, 64, apart=False)[64] == reduced(found, 64, apart=False)[128]
    assert min(reduced(found, 4096, 4).values()) == 4
    assert reduced(found, 1) == {size: size for size in found}


ROBUST = """
class Model:
    def __init__(self, width: int = 64, kernel: int = 3):
        self.width = width

def get_inputs(rows: int = 48, width: int = 64):
    return [(rows, width)]
"""


def test_defaults_say_sizes_where_nothing_else_says_what_is_built():
    sizes = {48: 17, 64: 16}
    assert sizes_in(ROBUST) == (48, 64)
    found = values(resized(ROBUST, sizes))
    assert found["get_inputs"]() == [(17, 16)]
    assert found["Model"]().width == 16
    assert resized_defaults(ROBUST, sizes) == ("width",)
    said = ROBUST + "\ndef get_init_inputs():\n    return [64]\n"
    assert values(resized(said, sizes))["Model"]().width == 64
    assert resized_defaults(said, sizes) == ()
