#!/usr/bin/env python3
"""A witness for transparency logs: it signs that a log's head goes on from the one it saw before, and keeps that one.

    python3 witness.py --folder DIR new NAME          makes its key, prints the public line
    python3 witness.py --folder DIR trust VKEY        lets a log in: the line that `nagare keys export` prints
    python3 witness.py --folder DIR serve [--host H] [--port P]

Standard library and `cryptography`, no network but its own port (C2SP tlog-witness, `POST /add-checkpoint`), Ed25519
cosignatures (C2SP tlog-cosignature). Run it on another machine than the log, under somebody else's account.
"""

# fmt: off
from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LOG, WITNESS = 1, 4
MOST_BYTES = 64 * 1024
MOST_STEPS = 63

class Refused(Exception):
    """An answer other than a signature: its status, text, and what kind of text that is."""

    def __init__(self, status, text, kind="text/plain; charset=utf-8"):
        super().__init__(text)
        self.status, self.text, self.kind = status, text, kind

def key_id(name, raw):
    return hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]

def vkey_line(name, kind, public):
    raw = bytes([kind]) + public
    return f"{name}+{key_id(name, raw).hex()}+{base64.b64encode(raw).decode()}"

def read_vkey(line):
    """Return name, key id and the 32 bytes of a log's public key."""
    name, _, rest = line.strip().partition("+")
    given, _, encoded = rest.partition("+")
    raw = base64.b64decode(encoded, validate=True)
    if len(raw) != 33 or raw[0] != LOG or key_id(name, raw).hex() != given:
        raise ValueError(f"no log's public key in {line.strip()[:80]!r}")
    return name, key_id(name, raw), raw[1:]

def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()

def is_consistent(old: int, old_root: bytes, size: int, root: bytes, path: list[bytes]) -> bool:
    """Whether a tree begins with the leaves of an older one (RFC 9162, 2.1.4.2)."""
    if old == 0: return not path
    if old == size: return not path and old_root == root
    hashes = list(path) if old & (old - 1) else [old_root, *path]
    if not hashes: return False
    at, last = old - 1, size - 1
    while at & 1: at, last = at >> 1, last >> 1
    before = after = hashes[0]
    for step in hashes[1:]:
        if last == 0: return False
        if at & 1 or at == last:
            before, after = node(step, before), node(step, after)
            while at and not at & 1: at, last = at >> 1, last >> 1
        else:
            after = node(after, step)
        at, last = at >> 1, last >> 1
    return last == 0 and before == old_root and after == root

class Witness:
    """The key, the logs it lets in, and the last head of each, in one folder."""

    def __init__(self, folder: str | Path) -> None:
        self.folder, self.lock = Path(folder), threading.Lock()

    def new(self, name: str) -> str:
        """Make the key; refuse to replace one."""
        if not name or any(mark.isspace() or mark == "+" for mark in name):
            raise ValueError("a name has no spaces and no plus sign")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        private = Ed25519PrivateKey.generate()
        place = os.open(self.folder / "witness_key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(place, "w") as file:
            file.write(f"{name}\n{private.private_bytes_raw().hex()}\n")
        return self.public_line()

    def trust(self, line: str) -> None:
        """Let a log in."""
        read_vkey(line)
        with (self.folder / "logs").open("a") as file:
            file.write(line.strip() + "\n")

    def key(self):
        name, seed = (self.folder / "witness_key").read_text().split()
        return name, Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))

    def public_line(self):
        name, private = self.key()
        return vkey_line(name, WITNESS, private.public_key().public_bytes_raw())

    def logs(self):
        place = self.folder / "logs"
        return [read_vkey(line) for line in place.read_text().splitlines() if line.strip()] if place.exists() else []

    def kept(self):
        place = self.folder / "heads.json"
        return json.loads(place.read_text()) if place.exists() else {}

    def keep(self, heads):
        """Replace the heads in whole, on the disk before anything is signed."""
        candidate = self.folder / "heads.json.new"
        with candidate.open("w") as file:
            json.dump(heads, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        candidate.replace(self.folder / "heads.json")

    def add_checkpoint(self, body: bytes, *, at: int) -> str:
        """Return the cosignature line for a request; `at` is the time in seconds since 1970."""
        old, path, text, signatures = read_request(body)
        origin, size, root = read_head(text)
        known = [(name, given, public) for name, given, public in self.logs() if owns(name, origin)]
        if not known: raise Refused(404, "this log is not known here\n")
        signed = [public for name, given, public in known if (name, given) in signatures]
        if not any(is_signed(public, signatures, name, given, text) for name, given, public in known if public in signed):
            raise Refused(403, "no key of this log signed it\n")
        with self.lock:
            heads = self.kept()
            before = heads.get(origin, {"size": 0, "root": ""})
            if old > size: raise Refused(400, "the old size is larger than the new one\n")
            if old != before["size"]: raise Refused(409, f"{before['size']}\n", "text/x.tlog.size")
            if old == size and old and bytes.fromhex(before["root"]) != root:
                raise Refused(409, f"{before['size']}\n", "text/x.tlog.size")
            if not is_consistent(old, bytes.fromhex(before["root"]), size, root, path):
                raise Refused(422, "the log does not go on from the head that was seen here before\n")
            self.keep({**heads, origin: {"size": size, "root": root.hex()}})
        name, private = self.key()
        raw = bytes([WITNESS]) + private.public_key().public_bytes_raw()
        signature = at.to_bytes(8, "big") + private.sign(f"cosignature/v1\ntime {at}\n{text}".encode())
        return f"\u2014 {name} {base64.b64encode(key_id(name, raw) + signature).decode()}\n"

def owns(name, origin):
    """Whether a log of this origin is one of the key's: that of its name, or one below it."""
    return origin == name or origin.startswith(name + "/")

def read_request(body):
    """Take a request apart: the old size, the proof, and the note's text and signatures by name and key id."""
    try:
        head, blank, note = body.decode().partition("\n\n")
        first, *steps = head.split("\n")
        word, _, old = first.partition(" ")
        if word != "old" or not blank or not old.isascii() or not old.isdecimal() or len(steps) > MOST_STEPS: raise ValueError("its shape")
        path = [base64.b64decode(step, validate=True) for step in steps]
        text, blank, tail = note.rpartition("\n\n")
        if not blank or any(len(step) != 32 for step in path): raise ValueError("its shape")
        signatures = {}
        for line in tail.removesuffix("\n").split("\n"):
            dash, name, encoded = line.split(" ")
            blob = base64.b64decode(encoded, validate=True)
            if dash != "\u2014": raise ValueError("a signature")
            signatures[name, blob[:4]] = blob[4:]
        return int(old), path, text + "\n", signatures
    except ValueError as error:
        raise Refused(400, "it is no request to add a checkpoint\n") from error

def read_head(text):
    try:
        origin, size, root = text.split("\n")[:3]
        hashed = base64.b64decode(root, validate=True)
        if not origin or len(hashed) != 32 or not size.isdecimal() or str(int(size)) != size: raise ValueError("its shape")
        return origin, int(size), hashed
    except ValueError as error:
        raise Refused(400, "it holds no checkpoint\n") from error

def is_signed(public, signatures, name, given, text):
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signatures[name, given], text.encode())
    except InvalidSignature:
        return False
    return True

def handler(witness: Witness) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self):
            status, text, kind = 200, "", "text/plain; charset=utf-8"
            try:
                length = int(self.headers.get("Content-Length") or 0)
                if self.path != "/add-checkpoint": raise Refused(404, "POST to /add-checkpoint\n")
                if not 0 < length <= MOST_BYTES: raise Refused(413, f"a request has at most {MOST_BYTES} bytes\n")
                text = witness.add_checkpoint(self.rfile.read(length), at=int(time.time()))
            except Refused as refused:
                status, text, kind = refused.status, refused.text, refused.kind
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format, *values):
            sys.stderr.write(f"{self.log_date_time_string()} {self.address_string()} {format % values}\n")

    return Handler

def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Witness the heads of transparency logs.")
    parser.add_argument("--folder", default="witness", help="where key, known logs and last heads are kept")
    does = parser.add_subparsers(dest="does", required=True)
    does.add_parser("new", help="make a key").add_argument("name", help="its name, such as example.org/witness")
    does.add_parser("key", help="print the public line")
    does.add_parser("trust", help="let a log in").add_argument("vkey", help="its public key, one line")
    serve = does.add_parser("serve", help="answer POST /add-checkpoint")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8400)
    given = parser.parse_args(arguments)
    witness = Witness(given.folder)
    try:
        if given.does == "new": print(witness.new(given.name))
        if given.does == "key": print(witness.public_line())
        if given.does == "trust": witness.trust(given.vkey)
        if given.does == "serve":
            print(f"{witness.public_line()}\nhttp://{given.host}:{given.port}/add-checkpoint", flush=True)
            ThreadingHTTPServer((given.host, given.port), handler(witness)).serve_forever()
    except (OSError, ValueError) as error:
        print(f"witness: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0

if __name__ == "__main__":
    sys.exit(main())
