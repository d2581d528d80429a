"""Read single files out of an archive that came from outside: bounded, in memory, nothing is ever extracted."""

from __future__ import annotations

import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from autograder.collect.model import Files, PlaceError

MAX_ARCHIVE_BYTES = 64 << 20
_MAX_UNPACKED_BYTES = 1 << 30
_MAX_ENTRIES = 200_000
_PIECE = 1 << 16


def files_of_tarball(data: bytes, paths: Iterable[str], max_bytes: int) -> Files:
    """Of a .tar.gz whose entries lie in one folder of any name, as forges make them. Raises PlaceError for one that cannot be read."""
    wanted = frozenset(paths)
    contents: dict[str, bytes] = {}
    notes = []
    try:
        with tarfile.open(fileobj=_Unpacked(data), mode="r|") as archive:
            for count, entry in enumerate(archive):
                if count > _MAX_ENTRIES:
                    raise PlaceError(f"the archive has more than {_MAX_ENTRIES:,} files")
                path = entry.name.partition("/")[2]
                if path not in wanted:
                    continue
                file = archive.extractfile(entry) if entry.isreg() else None
                if file is None:
                    notes.append(f"{path} is no plain file and was left out")
                else:
                    contents[path] = file.read(max_bytes + 1)
    except (tarfile.TarError, zlib.error, EOFError, ValueError) as error:
        raise PlaceError(f"the archive cannot be read: {type(error).__name__}") from None
    return Files(contents, tuple(notes))


class _Unpacked(io.RawIOBase):
    """The bytes of a gzip file as a stream that ends with an error where it grows too large."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._unzip = zlib.decompressobj(wbits=31)
        self._total = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        pieces = bytearray()
        while (size < 0 or len(pieces) < size) and not self._unzip.eof:
            packed = self._unzip.unconsumed_tail or bytes(self._data[:_PIECE])
            if not self._unzip.unconsumed_tail:
                self._data = self._data[_PIECE:]
            if not packed:
                break
            pieces += self._unzip.decompress(packed, _PIECE if size < 0 else max(1, size - len(pieces)))
            if self._total + len(pieces) > _MAX_UNPACKED_BYTES:
                raise PlaceError(f"the archive unpacks to more than {_MAX_UNPACKED_BYTES >> 20} MiB")
        self._total += len(pieces)
        return bytes(pieces)


@dataclass(frozen=True)
class Entry:
    """A plain file in a zip archive. path: with "/" between its parts, as the archive says; never used as a path on disk."""

    path: str
    info: zipfile.ZipInfo


def entries_of_zip(archive: zipfile.ZipFile) -> Iterator[Entry]:
    """Its plain files, without links, folders and what macOS adds."""
    for count, info in enumerate(archive.infolist()):
        if count > _MAX_ENTRIES:
            raise PlaceError(f"the archive has more than {_MAX_ENTRIES:,} files")
        kind = (info.external_attr >> 16) & 0o170000
        path = info.filename.replace("\\", "/")
        if not info.is_dir() and kind in (0, 0o100000) and not path.startswith("__MACOSX/"):
            yield Entry(path, info)


def read_zip_entry(archive: zipfile.ZipFile, entry: Entry, max_bytes: int) -> bytes:
    """Its bytes, cut after max_bytes + 1. Raises PlaceError when it is damaged or encrypted."""
    try:
        with archive.open(entry.info) as file:
            return file.read(max_bytes + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise PlaceError(f"{entry.path.rpartition('/')[2]} in the archive cannot be read: {type(error).__name__}") from None
