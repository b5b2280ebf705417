"""Sinks that come with the kernel. What a sink owes is said in `kernel.engine.sinks`."""

from __future__ import annotations

from kernel.sinks.callable import CallableSink
from kernel.sinks.directory import DirectoryArchive

__all__ = ["CallableSink", "DirectoryArchive"]
