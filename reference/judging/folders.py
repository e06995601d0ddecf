"""Many candidates: which reference each belongs to, shared out to workers, a line of JSON for each as it is done."""

import hashlib
import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from scratchproof.errors import InputError
from scratchproof.sandbox.limits import die_with_the_parent
from scratchproof.sandbox.warm import zygote

WORKER = [sys.executable, "-c", "from scratchproof.judging.folders import main; main()"]
Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A candidate and its reference."""

    candidate: Path
    reference: Path

    def digest(self, options: Mapping[str, Any]) -> str:
        """What a record of it stands for: both texts, and how it is judged."""
        parts = [self.candidate.read_bytes(), self.reference.read_bytes(), json.dumps(options, sort_keys=True).encode()]
        return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]


def pairs(candidates: Path, references: Path) -> tuple[list[Pair], list[Path]]:
    """Each candidate with the reference of its name, and the candidates that have none.

    A candidate is a file of its reference's name, or any file in a folder that is called so.
    Raises: InputError where nothing belongs together.
    """
    if candidates.is_file() and references.is_file():
        return [Pair(candidate=candidates, reference=references)], []
    known = {file.stem: file for file in _files(references)}
    if references.is_file():
        return [Pair(candidate=file, reference=references) for file in _files(candidates)], []
    found, alone = [], []
    for file in _files(candidates):
        reference = known.get(file.stem) or known.get(file.parent.name)
        if reference is None:
            alone.append(file)
        else:
            found.append(Pair(candidate=file, reference=reference))
    if not found:
        raise InputError(f"no file of {candidates} is called as one of {references}: give candidates their names")
    return found, alone


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    found = sorted(f for f in place.rglob("*.py") if not f.name.startswith(("_", ".")))
    if not found:
        raise InputError(f"{place} holds no .py file")
    return found


def done_before(lines: Path | None) -> dict[str, Record]:
    """The records of an earlier run by what they stand for. A line that was cut off counts as not written.

    Nor does a pair whose process died: it may have been killed with the run.
    """
    found: dict[str, Record] = {}
    if lines is not None and lines.exists():
        for line in lines.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, KeyError, TypeError):
                record = json.loads(line)
                if not record.get("died"):
                    found[record["digest"]] = record
    return found


def judged(
    wanted: Sequence[Pair], options: Mapping[str, Any], jobs: int, lines: Path | None = None
) -> Iterator[Record]:
    """The record of each pair as it is done, those of an earlier run first; new ones are added to `lines`."""
    before = done_before(lines)
    digests = {pair: pair.digest(options) for pair in wanted}
    yield from (before[digests[pair]] for pair in wanted if digests[pair] in before)
    left = [pair for pair in wanted if digests[pair] not in before]
    for pair, record in _shared_out(left, options, jobs):
        record["digest"] = digests[pair]
        if lines is not None:
            _add(lines, json.dumps(record, allow_nan=False) + "\n")
        yield record


def _add(file: Path, line: str) -> None:
    """On a line of its own, also after one that was cut off."""
    with file.open("ab+") as out:
        if out.tell() and (out.seek(-1, 2), out.read(1))[1] != b"\n":
            out.write(b"\n")
        out.write(line.encode())


def _shared_out(left: Sequence[Pair], options: Mapping[str, Any], jobs: int) -> Iterator[tuple[Pair, Record]]:
    waiting: queue.SimpleQueue[Pair] = queue.SimpleQueue()
    results: queue.SimpleQueue[tuple[Pair, Record]] = queue.SimpleQueue()
    stop = threading.Event()
    for pair in left:
        waiting.put(pair)
    threads = [
        threading.Thread(target=_work, args=(waiting, results, options, stop), daemon=True)
        for _ in range(min(jobs, len(left)))
    ]
    try:
        for thread in threads:
            thread.start()
        for _ in left:
            yield results.get()
    finally:
        stop.set()


def _work(waiting: Any, results: Any, options: Mapping[str, Any], stop: threading.Event) -> None:
    """One worker process and its pairs; a new one where it died."""
    process: subprocess.Popen[str] | None = None
    while not stop.is_set():
        try:
            pair: Pair = waiting.get_nowait()
        except queue.Empty:
            break
        if process is None or process.poll() is not None:
            process = subprocess.Popen(WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        results.put((pair, _asked(process, pair, options)))
    if process is not None:
        process.terminate()
        process.communicate()


def _asked(process: "subprocess.Popen[str]", pair: Pair, options: Mapping[str, Any]) -> Record:
    assert process.stdin is not None
    assert process.stdout is not None
    names = {"candidate": str(pair.candidate), "reference": str(pair.reference)}
    try:
        process.stdin.write(json.dumps({**names, "options": dict(options)}) + "\n")
        process.stdin.flush()
        record: Record = json.loads(process.stdout.readline())
    except (OSError, ValueError):
        process.wait()
        told = "the process that judged it ended without a word: judge it alone to see more"
        return {**lost(**names, problem=told), "died": True}
    return record


def main() -> None:
    """Answer each line of standard input, a pair and how to judge it, with a line of standard output."""
    die_with_the_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started this
    zygote()  # it imports NumPy and torch while this process does
    told, sys.stdout = sys.stdout, sys.stderr  # the channel is no place for anything else
    _serve(sys.stdin, told)


def _serve(pairs: TextIO, told: TextIO) -> None:
    import torch

    torch.set_num_threads(1)
    for line in pairs:
        told.write(json.dumps(record(**json.loads(line))) + "\n")
        told.flush()


def record(candidate: str, reference: str, options: dict[str, Any]) -> dict[str, Any]:
    """The record of one pair; `problem` says why there is no judgement, where the reference cannot be used."""
    from scratchproof.errors import InputError
    from scratchproof.judging.judge import judge

    try:
        return {**judge(candidate, reference, **options).as_dict(), "problem": ""}
    except InputError as error:
        return lost(candidate, reference, str(error))


def lost(candidate: str, reference: str, problem: str) -> dict[str, Any]:
    """The record of a pair that could not be judged."""
    return {
        "candidate": candidate,
        "reference": reference,
        "verdict": None,
        "passed": False,
        "score": None,
        "kinds": [],
        "reasons": [],
        "problem": problem,
    }
