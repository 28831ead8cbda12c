"""Where the catalogue writes through to, so that other cache processes and a fresh disk find frames; and none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sluice_cache.frames import Frame


class IndexUnavailable(Exception):
    """The shared index did not answer, or not in full."""


class SharedIndex(Protocol):
    """Frames and manifests by id, frames by label pair. Every method but the scans answers at once and never raises."""

    def put_frame(self, frame: Frame) -> bool:
        """Make a frame known; False when a newer version is known already, and stays."""
        ...

    def get_frame(self, frame_id: str) -> Frame | None: ...

    def delete_frame(self, frame: Frame) -> None:
        """Forget a frame, unless a newer version is known."""
        ...

    def find_frames(self, labels: Mapping[str, str]) -> list[Frame]: ...

    def put_manifest(self, manifest_id: str, content: bytes, keep_until_s: float) -> None: ...

    def get_manifest(self, manifest_id: str) -> bytes | None: ...

    def delete_manifest(self, manifest_id: str) -> None: ...

    def all_frames(self) -> list[Frame]:
        """Return every frame.

        Raises:
            IndexUnavailable: it did not answer in full.
        """
        ...


class NoIndex:
    """No shared index: memory and sidecars are all there is."""

    def put_frame(self, frame: Frame) -> bool:
        del frame
        return True

    def get_frame(self, frame_id: str) -> Frame | None:
        del frame_id
        return None

    def delete_frame(self, frame: Frame) -> None:
        del frame

    def find_frames(self, labels: Mapping[str, str]) -> list[Frame]:
        del labels
        return []

    def put_manifest(self, manifest_id: str, content: bytes, keep_until_s: float) -> None:
        del manifest_id, content, keep_until_s

    def get_manifest(self, manifest_id: str) -> bytes | None:
        del manifest_id
        return None

    def delete_manifest(self, manifest_id: str) -> None:
        del manifest_id

    def all_frames(self) -> list[Frame]:
        return []
