"""Figures for TensorBoard, on the disk as soon as they are added."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import scalar

from nat_plugin.files import file_errors, open_own, write_all

_NAME = "events.out.tfevents.{}.nat"
"""TensorBoard reads the files of a folder in the order of their names."""
_VERSION = "brain.Event:2"


class TensorBoard:
    """Each part of a run is a folder of its own, and so a run in TensorBoard, so that those of one figure lie over
    each other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def part(self, name: str, step: int) -> Events:
        return Events(self._folder / name, step)


class Events:
    """A file of events that takes the place of what an earlier one in the folder has from ``step`` on: a resumed run
    writes that again. (The writer of torch works in a thread of its own, which loses what it holds when the run is
    killed, and cannot say that the disk is full.)"""

    def __init__(self, folder: Path, step: int) -> None:
        self._folder = folder
        with file_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            number = sum(1 for _ in folder.glob(_NAME.format("*")))
            while os.path.lexists(folder / _NAME.format(f"{number:06d}")):
                number += 1
            self._file = open_own(folder / _NAME.format(f"{number:06d}"), new=True)
        self._records = RecordWriter(self)
        self._add(Event(file_version=_VERSION))
        self._add(Event(step=step, session_log=SessionLog(status=SessionLog.START)))

    def add(self, name: str, value: float, step: int) -> None:
        """WriteError if it cannot be written."""
        self._add(Event(step=step, summary=scalar(name, value)))  # type: ignore[no-untyped-call]

    def close(self) -> None:
        os.close(self._file)

    def write(self, data: bytes) -> None:
        """A whole record; what ``RecordWriter`` calls."""
        with file_errors(self._folder):
            write_all(self._file, data)

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
