"""Archives: what they hold comes out, and what they threaten does not."""

from __future__ import annotations

import gzip
import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from io import BytesIO

import pytest

from journal.errors import ImportRefused
from journal.ingest.archive import Limits, entries, gunzip
from tests.zips import zipped, zstd_zipped


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """Return 200 MB of zeros in less than 200 KB."""
    return zipped({"bomb.json": bytes(200 * 10**6)})


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_files_come_out_in_order_and_folders_do_not(method: int) -> None:
    """Each file is yielded with its name and bytes; a folder entry is skipped."""
    archive = zipped({"runs/": b"", "runs/b.json": b"{}", "a.json": b"[]" * 100_000}, method)
    assert list(entries(archive)) == [("runs/b.json", b"{}"), ("a.json", b"[]" * 100_000)]


def test_a_zstd_entry_is_read() -> None:
    """Method 93, which this Python's zipfile refuses, is inflated."""
    content = b'{"id": 1}' * 200_000
    assert list(entries(zstd_zipped({"samples/1.json": content}))) == [("samples/1.json", content)]


def test_a_zip_within_is_read_and_one_within_that_is_refused() -> None:
    """One level of nesting is unpacked under its name; the next is refused, saying which."""
    inner = zipped({"run.json": b"{}"})
    assert list(entries(zipped({"week.zip": inner}))) == [("week.zip/run.json", b"{}")]
    with pytest.raises(ImportRefused, match=r"week\.zip/day\.zip.*inside 2 others"):
        list(entries(zipped({"week.zip": zipped({"day.zip": inner})})))


def test_an_eval_log_within_comes_out_whole() -> None:
    """A `.eval` is a zip by its bytes, but one file by its format."""
    log = zipped({"header.json": b"{}"})
    assert list(entries(zipped({"a.eval": log}))) == [("a.eval", log)]


def test_a_bomb_is_refused_before_it_inflates(bomb: bytes) -> None:
    """200 MB in 195 KB is refused on its claim, in little memory."""
    assert len(bomb) < 200_000
    tracemalloc.start()
    with pytest.raises(ImportRefused, match="250 to 1"):
        list(entries(bomb))
    assert tracemalloc.get_traced_memory()[1] < 5 * 2**20
    tracemalloc.stop()


def test_a_bomb_that_lies_about_its_size_is_stopped_while_it_inflates(bomb: bytes) -> None:
    """An entry that claims 1,000 bytes is cut off when more come."""
    lying = bytearray(bomb)
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = lying.index(signature) + at
        lying[place : place + 4] = struct.pack("<L", 1000)
    tracemalloc.start()
    with pytest.raises(ImportRefused, match="inflates past 1,000 bytes"):
        list(entries(bytes(lying)))
    assert tracemalloc.get_traced_memory()[1] < 5 * 2**20
    tracemalloc.stop()


def test_a_gzip_bomb_is_stopped_while_it_inflates() -> None:
    """A .gz has no claim to check; the running count stops it."""
    with pytest.raises(ImportRefused, match="250 to 1"):
        gunzip(gzip.compress(bytes(60 * 10**6)))


def test_more_entries_than_the_limit_are_refused_before_they_are_listed() -> None:
    """A crowd of tiny files is counted first, entries of zips inside included."""
    with pytest.raises(ImportRefused, match="3 entries, the limit is 2"):
        list(entries(zipped({"a": b"", "b": b"", "c": b""}), limits=Limits(entries=2)))
    nested = zipped({"in.zip": zipped({"a": b"", "b": b""})})
    with pytest.raises(ImportRefused, match="3 entries, the limit is 2"):
        list(entries(nested, limits=Limits(entries=2)))


def test_the_total_of_all_entries_is_limited() -> None:
    """Many entries below the limit are refused when they pass it together."""
    with pytest.raises(ImportRefused, match="inflates to 1,200 bytes, the limit is 1,000"):
        list(entries(zipped({"a": bytes(600), "b": bytes(600)}), limits=Limits(inflated_bytes=1000)))


@pytest.mark.parametrize("name", ["/etc/passwd", "../up.json", "a/../../up.json", "..\\up.json", "C:\\up.json", "\\up"])
def test_a_name_that_leaves_the_archive_is_refused(name: str) -> None:
    """Absolute names, drives and `..` are refused whichever slash they use."""
    with pytest.raises(ImportRefused, match="points outside the archive"):
        list(entries(zipped({name: b"{}"})))


def test_a_name_with_a_nul_is_refused() -> None:
    """A name that ends early for some readers is refused for all."""
    archive = zipped({"run.jsonX.sh": b"{}"}).replace(b"run.jsonX.sh", b"run.json\0.sh")
    with pytest.raises(ImportRefused, match="holds a NUL"):
        list(entries(archive))


def test_a_symbolic_link_is_refused() -> None:
    """An entry that is a link to elsewhere is refused."""
    out, link = BytesIO(), zipfile.ZipInfo("link.json")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ImportRefused, match="symbolic link"):
        list(entries(out.getvalue()))


@pytest.mark.parametrize("archive", [b"", b"PK\x03\x04junk", zipped({"a.json": b"{}"})[:-10]])
def test_what_is_no_zip_is_refused(archive: bytes) -> None:
    """Junk and a zip that was cut short give a reason, not a crash."""
    with pytest.raises(ImportRefused, match="cannot be read"):
        list(entries(archive))


def test_a_damaged_entry_is_refused() -> None:
    """A flipped byte is found by the checksum."""
    archive = bytearray(zipped({"a.json": b"hello world"}, zipfile.ZIP_STORED))
    archive[archive.index(b"hello")] ^= 1
    with pytest.raises(ImportRefused, match="damaged"):
        list(entries(bytes(archive)))


def test_a_gzip_of_several_members_is_joined() -> None:
    """Members and padding behind them are read as `gzip` reads them."""
    assert gunzip(gzip.compress(b"one\n") + gzip.compress(b"two\n" * 10**6) + bytes(10)) == b"one\n" + b"two\n" * 10**6


@pytest.mark.parametrize(
    "data",
    [gzip.compress(b"one" * 1000)[:-12], gzip.compress(b"one") + b"junk", b"no gzip"],
    ids=["cut", "longer", "other"],
)
def test_a_damaged_gzip_is_refused(data: bytes) -> None:
    """A cut end, junk behind and another format give a reason."""
    with pytest.raises(ImportRefused, match=r"cut short|damaged"):
        gunzip(data)


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: zipped({"run.json": data})])
def test_what_packs_well_takes_its_own_size_in_memory(pack: Callable[[bytes], bytes]) -> None:
    """Near the limit of 250 to 1, too: the inflated file is there once, not as pieces and as a whole."""
    packed = pack(b'{"said": "the same again and again", "at": 1}\n' * 700_000)
    tracemalloc.start()
    try:
        size = sum(len(data) for _, data in entries(packed)) if packed[:2] == b"PK" else len(gunzip(packed))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size / len(packed) > 100
    assert peak < 1.3 * size
