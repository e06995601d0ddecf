"""Checkpoints: a killed run, taken up again, ends with the same bits; what is torn or foreign is refused.

The kill tests start real processes (resumable_run.py) and end them with SIGKILL.
"""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from scratchproof.scratch import CheckpointError, Solver, TwoLayerNet
from scratchproof.scratch._resume import describe_run
from scratchproof.scratch.checkpoint import load_checkpoint, save_checkpoint

PROGRAM = Path(__file__).with_name("resumable_run.py")
ROOT = PROGRAM.parents[2]
spec = importlib.util.spec_from_file_location("resumable_run", PROGRAM)
run = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run)

posix = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")


def start(folder, out, *stage):
    """Start the program and wait until it is about to train."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, str(PROGRAM), str(folder), str(out), *map(str, stage)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=ROOT)
    assert process.stdout.readline() == b"ready\n"
    return process


def finish(process):
    """Its return code; what it still had to say is thrown away."""
    process.communicate()
    return process.returncode


def require_same_bits(actual, expected):
    assert set(actual) == set(expected)
    for name in expected:
        assert actual[name].dtype == expected[name].dtype
        assert actual[name].tobytes() == expected[name].tobytes(), name


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The results of the run that nobody kills."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert finish(start(folder / "run", folder / "out.npz")) == 0
    with np.load(folder / "out.npz") as file:
        return dict(file)


@posix
def test_killed_at_many_random_points(tmp_path, uninterrupted):
    """Twelve kills, most of them inside a write, since every iteration writes; then the run ends as if never killed."""
    rng = np.random.default_rng(0)
    for _ in range(12):
        process = start(tmp_path / "run", tmp_path / "out.npz")
        for _ in range(rng.integers(10)):
            process.stdout.readline()
        time.sleep(rng.uniform(0, 0.005))
        process.send_signal(signal.SIGKILL)
        assert finish(process) == -signal.SIGKILL
    assert finish(start(tmp_path / "run", tmp_path / "out.npz")) == 0
    with np.load(tmp_path / "out.npz") as file:
        require_same_bits(dict(file), uninterrupted)


@posix
@pytest.mark.parametrize("count", [1, 32])
@pytest.mark.parametrize("stage", ["half-write", "before-flush", "before-rename", "after-rename", "after-flush"])
def test_killed_at_every_stage_of_a_write(stage, count, tmp_path, uninterrupted):
    assert finish(start(tmp_path / "run", tmp_path / "out.npz", stage, count)) == -signal.SIGKILL
    solver = run.make_solver(tmp_path / "run", checkpoint_every=1000)
    assert solver.iteration >= (count - 1) // 2  # a write flushes twice: the file and its folder
    solver.train()
    require_same_bits(run.results(solver), uninterrupted)
    assert not list(tmp_path.glob("run/*.tmp"))


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_every_kind_of_generator_is_taken_up(bits, tmp_path):
    def solver(folder):
        return run.make_solver(folder, rng=np.random.Generator(bits(7)), dropout=(0.0, 0.0), num_epochs=2)

    whole, cut = solver(tmp_path / "whole"), solver(tmp_path / "cut")
    whole.train()
    interrupt(cut, after=13)
    resumed = solver(tmp_path / "cut")
    assert resumed.iteration == 13
    resumed.train()
    require_same_bits(run.results(resumed), run.results(whole))


class Interrupted(Exception):
    pass


def interrupt(solver, *, after):
    def stop(iteration, total, loss):
        if iteration == after:
            raise Interrupted

    with pytest.raises(Interrupted):
        solver.train(progress=stop)


def interrupted_run(folder, after=15):
    interrupt(run.make_solver(folder), after=after)
    return sorted(folder.glob("iteration-*.npz"))


def test_the_two_newest_are_kept(tmp_path):
    names = [path.name for path in interrupted_run(tmp_path)]
    assert names == ["iteration-000000014.npz", "iteration-000000015.npz"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_by_default_one_is_written_after_every_epoch(tmp_path):
    run.make_solver(tmp_path, checkpoint_every=None, num_epochs=3).train()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["iteration-000000022.npz", "iteration-000000033.npz"]


def test_a_resumed_run_says_so(tmp_path, capsys):
    interrupted_run(tmp_path)
    run.make_solver(tmp_path, verbose=True)
    assert capsys.readouterr().out == "(Resumed after iteration 15 / 165)\n"


def cut(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def flip_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def empty(path):
    path.write_bytes(b"")


def change_a_value(path):
    """A whole archive whose content is not what was written: only the checksum can tell."""
    with np.load(path) as file:
        content = dict(file)
    content["params/W1"][0, 0] += 1
    np.savez(path, **content)


def pickle_inside(path):
    """An object array would run a stranger's code if it were loaded."""
    with np.load(path) as file:
        content = dict(file)
    np.savez(path, **content | {"params/W1": np.array([print], object)})


DAMAGE = [cut, flip_bit, empty, change_a_value, pickle_inside]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_a_torn_newest_falls_back_to_the_older_with_a_warning(damage, tmp_path):
    whole = run.make_solver(tmp_path / "whole")
    whole.train()
    older, newest = interrupted_run(tmp_path / "run")
    damage(newest)
    message = f"{re.escape(str(newest))} is torn or corrupt .*; going on from {older.name} instead"
    with pytest.warns(RuntimeWarning, match=message):
        solver = run.make_solver(tmp_path / "run")
    assert solver.iteration == 14
    assert newest.with_suffix(".torn").exists()
    solver.train()
    require_same_bits(run.results(solver), run.results(whole))


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_when_all_are_torn_the_run_does_not_silently_begin_again(damage, tmp_path):
    for path in interrupted_run(tmp_path):
        damage(path)
    with pytest.raises(CheckpointError, match=r"torn or corrupt .* no older one is whole: remove"):
        run.make_solver(tmp_path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"batch_size": 10}, "its batch_size is 9, here it is 10"),
        ({"update_rule": "sgd"}, "its update_rule is adam, here it is sgd"),
        ({"optim_config": {"learning_rate": 0.02}}, "its optim_config is .*0.01.*, here it is .*0.02"),
        ({"lr_decay": 0.9}, "its lr_decay is 0.95, here it is 0.9"),
        ({"num_epochs": 21}, "its num_epochs is 15, here it is 21"),
        ({"augment": None}, "its augment is flip, here it is None"),
        ({"lr_schedule": None}, "its lr_schedule is fall, here it is None"),
        ({"dropout": (0.1, 0.2)}, r"its net's dropout is \[0.1, 0.3\], here it is \[0.1, 0.2\]"),
        ({"rng": np.random.default_rng(1)}, "its random generator is"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_another_run_is_refused_and_left_alone(change, named, tmp_path):
    paths = interrupted_run(tmp_path)
    before = [path.read_bytes() for path in paths]
    with pytest.raises(CheckpointError, match=f"belongs to another run: {named}"):
        run.make_solver(tmp_path, **change)
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == before


def test_another_net_and_other_data_are_refused(tmp_path):
    interrupted_run(tmp_path)
    source = run.make_solver(None)
    data = {name: getattr(source, name) for name in ("X_train", "y_train", "X_val", "y_val")}

    def resume(net, data):
        rng = run.make_solver(None).rng
        return Solver(net, data, rng=rng, checkpoint=tmp_path, update_rule="adam")

    options = source.fingerprint
    with pytest.raises(CheckpointError, match="belongs to another run"):
        resume(source.model, data)
    changed = dict(options, X_train="other images")
    with pytest.raises(CheckpointError, match=r"its X_train is .*, here it is other images"):
        load_checkpoint(tmp_path, changed)
    with pytest.raises(CheckpointError, match="its net is TwoLayerNet, here it is ConvNet"):
        load_checkpoint(tmp_path, dict(options, net="ConvNet"))


def test_the_fingerprint_sees_labels_images_weights_and_settings(tmp_path):
    first, second = run.make_solver(None), run.make_solver(None)
    assert first.fingerprint == second.fingerprint
    for name in ("y_val", "X_train"):
        values = getattr(second, name)
        values[0] += 1
        assert describe_run(second)[name] != first.fingerprint[name]


def test_another_format_version_is_refused(tmp_path):
    newest = interrupted_run(tmp_path)[-1]
    with np.load(newest) as file:
        content = dict(file)
    header = json.loads(content["header"].tobytes())
    header["version"] = 99
    content["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(newest, **content)
    with pytest.raises(CheckpointError, match="has format version 99 but this code reads 1"):
        run.make_solver(tmp_path)


def test_a_checkpoint_is_a_plain_archive_of_arrays_and_json(tmp_path):
    newest = interrupted_run(tmp_path)[-1]
    assert zipfile.is_zipfile(newest)
    with np.load(newest, allow_pickle=False) as file:
        header = json.loads(file["header"].tobytes())
        assert file["params/W1"].shape == (12, 8)
        assert file["state/W1/m"].dtype == np.float32
    assert header["version"] == 1
    assert header["scalars"]["iteration"] == 15


def test_a_folder_that_cannot_be_made_is_an_error_before_training(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="file"):
        run.make_solver(tmp_path / "file" / "run")


def test_arrays_of_any_shape_come_back_as_they_went(tmp_path):
    arrays = {
        "scalar": np.array(0.1),
        "empty": np.zeros((0, 3), np.float32),
        "turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "nan": np.array([np.nan, -np.inf, -0.0]),
    }
    save_checkpoint(tmp_path, 3, {"a": 1}, {"key": np.arange(3, dtype=np.uint32), "b": np.float64(2)}, arrays)
    scalars, loaded = load_checkpoint(tmp_path, {"a": 1})
    require_same_bits(loaded, arrays)
    assert scalars["key"].dtype == np.uint32
    assert scalars["b"] == 2


@pytest.mark.parametrize(("features", "dtype"), [(12, np.float32), (1400, np.float64)], ids=["plain", "turned"])
@pytest.mark.parametrize("cut", [1, 5, 6, 13])
def test_the_fast_step_of_plain_sgd_resumes_with_the_same_bits(features, dtype, cut, tmp_path):
    """Whatever form the fast step keeps its weights in, a checkpoint and an uninterrupted run hold the same."""

    def make(folder):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((30, features)).astype(dtype)
        data = {"X_train": X[:24], "y_train": np.arange(24) % 4, "X_val": X[24:], "y_val": np.arange(6) % 4}
        net = TwoLayerNet(features, 100, 4, weight_scale=0.01, reg=0.5, dtype=dtype, rng=rng)
        return Solver(
            net, data, optim_config={"learning_rate": 0.05}, num_epochs=4, batch_size=6, verbose=False, rng=rng,
            checkpoint=folder, checkpoint_every=3,
        )  # fmt: skip

    def stop(done, total, loss):
        if done == cut:
            raise KeyboardInterrupt

    whole = make(tmp_path / "whole")
    whole.train()
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "cut").train(stop)
    resumed = make(tmp_path / "cut")
    assert resumed.iteration == cut // 3 * 3
    resumed.train()
    assert resumed.loss_history == whole.loss_history
    assert all((resumed.model.params[name] == w).all() for name, w in whole.model.params.items())
