"""Prepared data shared at an S3 server: the home's folders are the working copy, the server has the shared one.

A pixel store lies there as it does on disk: shards, and a manifest that follows each, so that a reader never sees half.
The manifest alone says what is there; nothing is ever deleted.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from xray.data.store.pixel_store import PixelStore, Reject, Shard
from xray.errors import S3Error
from xray.files.artifact_folder import MANIFEST
from xray.files.atomic import whole_file
from xray.files.digest import file_sha256
from xray.files.s3 import S3Path

log = logging.getLogger(__name__)

FETCHERS = 4
"""Shards that are fetched at a time."""


class Mirror:
    """One pixel store at a server, for one filling.

    Args:
        folder: Where it lies.
    """

    def __init__(self, folder: S3Path) -> None:
        """Remember where it lies; the server is not asked yet."""
        self._folder = folder
        # What the manifest at the server shall not list any more, unless it is made again.
        self._dropped: set[str] = set()

    def fetch(self, store: PixelStore) -> PixelStore:
        """Bring the server's shards into the store's folder, each compared with the manifest.

        A shard that is broken or missing there is dropped, and so is one that repeats scans of another: a scan has one
        place in a store. Where the server and the home hold the same scans in other shards, the server's stay.

        Args:
            store: What the home holds, whole.

        Returns:
            The store with what came; its manifest is still to be written.

        Raises:
            S3Error: The server cannot be reached or refuses.
        """
        listed = self._listed(store)
        shared = {shard.name for shard in listed.shards}
        held = {shard: _scans(store, shard) for shard in store.shards}
        for shard in self._download(listed.shards, {shard.name for shard in held}, store.folder):
            scans = _scans(store, shard)
            repeated = [other for other, its in held.items() if its & scans]
            if any(other.name in shared for other in repeated):
                self._dropped.add(shard.name)
                continue
            for other in repeated:
                del held[other]
            held[shard] = scans
        return _with(store, list(held), listed.rejected)

    def push(self, store: PixelStore) -> None:
        """Send the shards that the server's manifest does not list, and then the manifest.

        It is read again before, so that what another machine has sent meanwhile stays listed.

        Raises:
            S3Error: The server cannot be reached or refuses; the home holds everything still.
        """
        listed = self._listed(store)
        there = [shard for shard in listed.shards if shard.name not in self._dropped]
        names = {shard.name for shard in there}
        new = [shard for shard in store.shards if shard.name not in names]
        for shard in new:
            (self._folder / shard.name).upload(store.folder / shard.name)
        both = _with(replace(listed, shards=()), [*there, *new], store.rejected)
        if both != listed or not (self._folder / MANIFEST).exists():
            (self._folder / MANIFEST).write_bytes(both.manifest().encode())
        self._dropped -= {shard.name for shard in new}

    def _listed(self, store: PixelStore) -> PixelStore:
        """Read what the server lists, as if it lay in the home; nothing where its manifest is missing or broken."""
        empty = replace(store, shards=(), rejected=())
        address = self._folder / MANIFEST
        try:
            listed = PixelStore.parse(store.folder, address.read_bytes())
        except FileNotFoundError:
            return empty
        except (ValueError, TypeError, KeyError) as error:
            if isinstance(error, S3Error):
                raise
            log.warning("%s is not a manifest and is created again: %s", address, error)
            return empty
        if (listed.digest, listed.height, listed.width) != (store.digest, store.height, store.width):
            log.warning("%s belongs to another normalizer and is created again: %s", address, listed.digest)
            return empty
        return listed

    def _download(self, shards: Sequence[Shard], known: set[str], folder: Path) -> list[Shard]:
        """Fetch the shards that are not known; give those that are what the manifest says."""
        wanted = [shard for shard in shards if shard.name not in known]
        with ThreadPoolExecutor(FETCHERS) as pool:
            whole = list(pool.map(lambda shard: self._fetch(shard, folder), wanted))
        for shard, good in zip(wanted, whole, strict=True):
            if not good:
                self._dropped.add(shard.name)
                log.warning("%s is missing or has changed and is created again", self._folder / shard.name)
        return [shard for shard, good in zip(wanted, whole, strict=True) if good]

    def _fetch(self, shard: Shard, folder: Path) -> bool:
        try:
            with whole_file(folder / shard.name) as draft:
                (self._folder / shard.name).download(draft)
                good = file_sha256(draft) == shard.sha256
                if not good:
                    draft.unlink()
            return good
        except FileNotFoundError:
            return False


def share_folder(folder: Path, shared: S3Path) -> None:
    """Send a finished folder that is named by its content, unless the server has it; its manifest last.

    Raises:
        S3Error: The server cannot be reached or refuses.
    """
    if (shared / MANIFEST).exists():
        return
    files = sorted(path for path in folder.iterdir() if path.name != MANIFEST)
    for path in [*files, folder / MANIFEST]:
        (shared / path.name).upload(path)


def _scans(store: PixelStore, shard: Shard) -> set[str]:
    return replace(store, shards=(shard,), rejected=()).holds()


def _with(store: PixelStore, shards: Sequence[Shard], rejects: Sequence[Reject]) -> PixelStore:
    return replace(
        store,
        shards=tuple(sorted(shards, key=lambda shard: shard.name)),
        rejected=tuple(sorted({*store.rejected, *rejects}, key=lambda reject: reject.sha256)),
    )
