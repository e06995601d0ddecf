"""The folder of a run: what was asked, with what, and what came out.

    run = Run.start("two_layer", config)   # refuses a folder that holds another run; nothing is written yet
    run.begin()                            # makes the folder, once nothing is left that could be refused
    ...
    run.finish({"val_acc": 0.5})

settings.json holds what a resumed run must share, record.json the experiment, its config, the images, versions and
machine, times and metrics; beside them lie tables (CSV), pictures (PNG) and the experiment's source as it was.
"""

import csv
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from . import STARTED
from .command import Basic

FORMAT = 1
SETTINGS = "settings.json"
LIBRARIES = ("scratchproof", "numpy", "torch", "torchvision")


@dataclass(kw_only=True)
class Run:
    """A run folder being filled."""

    experiment: str
    folder: Path
    config: dict[str, Any]
    fixed: dict[str, Any]
    images: str = "none"
    begun: bool = False
    times: dict[str, float] = field(default_factory=dict)

    @classmethod
    def start(cls, experiment: str, config: Basic) -> "Run":
        """A run in the folder that the config names, or in runs/EXPERIMENT/TIME. Writes nothing.

        Raises: ValueError if the folder holds a run of another experiment or with other settings.
        """
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"
        folder = Path(config.out).expanduser() if config.out else Path("runs") / experiment / stamp
        chosen = asdict(config)
        fixed = {item.name: chosen[item.name] for item in fields(config) if not item.metadata["free"]}
        run = cls(experiment=experiment, folder=folder, config=chosen, fixed=json.loads(json.dumps(fixed)))
        run._require_same({"experiment": experiment, **run.fixed})
        return run

    def use(self, images: str) -> None:
        """Note the description of the images. Raises: ValueError if the folder's run saw others."""
        self._require_same({"images": images})
        self.images = images

    def begin(self) -> None:
        """Make the folder and write down the settings, before the first result.

        Raises: ValueError if the folder cannot be made.
        """
        if self.begun:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"the run folder {self.folder} cannot be made: {error.strerror}") from error
        source = Path(__file__).with_name(f"{self.experiment}.py")
        if source.exists():
            shutil.copyfile(source, self.folder / "source.py")
        write_json(self.folder / SETTINGS, {"experiment": self.experiment, "images": self.images, **self.fixed})
        self.begun = True

    def _require_same(self, ours: Mapping[str, Any]) -> None:
        try:
            theirs = json.loads((self.folder / SETTINGS).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return  # nothing there, or what begin() will refuse
        for name, value in ours.items():
            if name in theirs and theirs[name] != value:
                raise ValueError(
                    f"{self.folder} holds a run with {name} {theirs[name]} but {name} is {value} here:"
                    " give the same settings, or another --out"
                )

    def path(self, name: str) -> Path:
        """Where a file of this name belongs."""
        self.begin()
        return self.folder / name

    def table(self, name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write a CSV file."""
        with self.path(name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows(rows)

    def first_step(self, *_: object) -> None:
        """Note the time of the first call: a Solver's progress callable may be this."""
        self.times.setdefault("seconds_to_first_step", round(time.perf_counter() - STARTED, 3))

    def finish(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Write record.json, say where the run lies, and return the record."""
        self.times["seconds"] = round(time.perf_counter() - STARTED, 3)
        record = {
            "format": FORMAT,
            "experiment": self.experiment,
            "images": self.images,
            "config": self.config,
            "metrics": metrics,
            "times": self.times,
            "environment": environment(),
        }
        write_json(self.path("record.json"), record)
        print(f"images: {self.images}\nrun: {self.folder} ({self.times['seconds']:.1f} s)", flush=True)
        return record


def environment() -> dict[str, Any]:
    """Versions and machine; nothing here imports the libraries it names."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": {name: value for name, value in os.environ.items() if name.endswith("_NUM_THREADS")},
        "command": sys.argv,
        **{name: _version(name) for name in LIBRARIES},
    }


def write_json(path: Path, value: Any) -> None:
    """Write JSON under another name and rename it: a reader never sees half a file."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(value, indent=1, default=_plain) + "\n", encoding="utf-8")
    draft.replace(path)


def mean_std(values: Sequence[float]) -> str:
    """`0.512 ± 0.004 (n=3)`, or the number alone."""
    import numpy as np

    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} does not go into a record")
