"""The built web page: the one document of every address it has, and the files that the document loads."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from starlette.responses import Response

from sluice_gateway.encoding import takes_gzip

BUNDLE_DIR = Path(__file__).parent / "static" / "app"

_MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
_BASE = '<base href="./">'
_IMMUTABLE = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """A file of the bundle; its name holds a hash of its content, so that it never changes under one name."""

    content: bytes
    media_type: str

    @cached_property
    def compressed(self) -> bytes:
        """The content in gzip, which is all that a browser takes on plain HTTP."""
        return gzip.compress(self.content, 9, mtime=0)


class WebPage:
    """The bundle in memory, about 1 MB.

    Args:
        folder: where the build has put it.
    """

    def __init__(self, folder: Path = BUNDLE_DIR) -> None:
        self._document = (folder / "index.html").read_text(encoding="utf-8")
        self._assets = {
            path.name: Asset(path.read_bytes(), _MEDIA_TYPES.get(path.suffix, "application/octet-stream"))
            for path in sorted((folder / "assets").iterdir())
        }

    def document(self, depth: int) -> Response:
        """Return the page for an address so many folders deep.

        Its base is written relative to the address, so the page finds its files under whatever prefix a proxy shows it.
        """
        base = f'<base href="{"../" * depth or "./"}">'
        headers = {"Cache-Control": "no-cache", "Vary": "Accept"}
        return Response(self._document.replace(_BASE, base), 200, headers, media_type="text/html; charset=utf-8")

    def asset(self, name: str, accept_encoding: Sequence[str]) -> Response | None:
        """Return a file of the bundle, None where it has none of that name."""
        found = self._assets.get(name)
        if found is None:
            return None
        headers = {"Cache-Control": _IMMUTABLE, "Vary": "Accept-Encoding"}
        if not takes_gzip(accept_encoding):
            return Response(found.content, 200, headers, media_type=found.media_type)
        return Response(found.compressed, 200, {**headers, "Content-Encoding": "gzip"}, media_type=found.media_type)
