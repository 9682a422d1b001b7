#!/usr/bin/env python3
"""Check an evidence bundle offline: standard library and `cryptography`, no network, nothing of it believed.

    python3 verify.py report.pdf --key log.pub [--previous earlier.zip] [--witness witness.pub --quorum 1]

Prints a line a check. Exit code 0: all passed; 1: at least one failed; 2: something could not be checked.
The log is that of RFC 9162 with SHA-256, checkpoints are C2SP signed notes with Ed25519.
"""

# fmt: off
from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
import zipfile
import zlib
from datetime import datetime
from pathlib import Path

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
except ImportError:
    print("????  nothing was checked: python3 -m pip install cryptography")
    sys.exit(2)

PASS, FAIL, UNKNOWN = "PASS", "FAIL", "????"
REQUIRED = ("manifest.json", "events.jsonl", "proofs.json", "checkpoint.txt", "previous-checkpoint.txt", "keys.txt")
MOST_BYTES = 2 * 1024**3
SUBJECT_KEY = re.compile(rb'"\$enc":\{"k":"([0-9A-Za-z._-]{1,64})"')
WITHDRAWN = re.compile(  # the entire payload, so that nothing can be said beside the digest of what is gone
    rb'\{"\$withdrawn":\{"sha256":"([0-9a-f]{64})",("act":"[0-9a-f-]{36}","kind":"(?:purged|erased)","at":"[0-9T:.Z-]{27}")'
    rb'(?:,"keys":\["[0-9A-Za-z._-]{1,64}"(?:,"[0-9A-Za-z._-]{1,64}")*\])?\}(?:,"time":"unknown")?\}')
MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010904")

class Bad(Exception):
    """A check that failed, with the reason."""

class Unknown(Exception):
    """A check that could not be made, with the reason."""

def judged(error):
    """Return the verdict and the words for what ended a check."""
    if isinstance(error, (Bad, Unknown)): return FAIL if isinstance(error, Bad) else UNKNOWN, str(error)
    if isinstance(error, MemoryError): return UNKNOWN, "it takes more memory than there is"
    if isinstance(error, (LookupError, TypeError, ValueError, AttributeError, RecursionError, StopIteration)):
        return FAIL, f"it has not the shape of a bundle: {type(error).__name__} {error}"
    return UNKNOWN, f"it could not be checked: {type(error).__name__} {error}"

def line_of(verdict, name, words):
    """Return what is said of a check: one line, whatever names from the file stand in it."""
    return f"{verdict}  {name}: " + "".join(one if one.isprintable() else "?" for one in words[:2_000])

def sha256(data): return hashlib.sha256(data).digest()
def node(left, right): return sha256(b"\x01" + left + right)

def unbase64(text, what):
    if not re.fullmatch(r"(?:[0-9A-Za-z+/]{4})*(?:[0-9A-Za-z+/]{2}==|[0-9A-Za-z+/]{3}=)?", text): raise Bad(f"{what} is not base64")
    return base64.b64decode(text)

def files_of(path):
    """Return the files of a bundle, or those attached to a report, by name; and a report's own bytes."""
    raw = Path(path).read_bytes()
    if raw.startswith(b"%PDF-"): return attached(raw), raw
    if not zipfile.is_zipfile(path): raise Unknown(f"{path} is no report and no bundle that can be read")
    with zipfile.ZipFile(path) as bundle:
        entries = bundle.infolist()
        if sum(entry.file_size for entry in entries) > MOST_BYTES: raise Unknown(f"it unpacks to more than {MOST_BYTES >> 30} GiB")
        if len({entry.filename for entry in entries}) != len(entries): raise Bad("a file is in it twice")
        return {entry.filename: bundle.read(entry) for entry in entries}, None

def attached(raw):
    """Return a PDF's attachments: the manifest by its shape, the others by the digests that it names."""
    found = []
    for match in re.finditer(rb"/Type\s*/EmbeddedFile\b(.{0,600}?)>>\s*stream\r?\n", raw, re.DOTALL):
        length = int(re.search(rb"/Length (\d+)", match[1])[1])
        body = raw[match.end() : match.end() + length]
        found.append(zlib.decompressobj().decompress(body, MOST_BYTES) if b"/FlateDecode" in match[1] else body)
    manifests = [one for one in found if one.lstrip()[:1] == b"{" and b'"files"' in one and b'"completeness"' in one]
    if len(manifests) != 1: raise Unknown("it has no manifest attached, or several")
    names = {digest: name for name, digest in json.loads(manifests[0])["files"].items()}
    files = {names.get(hashlib.sha256(one).hexdigest(), f"attachment {at}"): one for at, one in enumerate(found)}
    return {name: one for name, one in files.items() if one != manifests[0]} | {"manifest.json": manifests[0]}

def der(data, at):
    """Read one DER element: its tag, and where its content begins and ends."""
    size, at, tag = data[at + 1], at + 2, data[at]
    if size & 0x80:
        count = size & 0x7F
        size, at = int.from_bytes(data[at : at + count], "big"), at + count
    return tag, at, at + size

def inner(data, start, end):
    """Return the elements between two places: tag, where each begins, and where its content begins and ends."""
    found = []
    while start < end:
        tag, begin, stop = der(data, start)
        found, start = [*found, (tag, start, begin, stop)], stop
    return found

def check_signature(raw):
    """The PDF's own signature covers the entire file, and is one of it by the certificate inside."""
    ranges = re.findall(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]", raw)
    if not ranges: raise Unknown("the PDF itself is not signed; what is attached is checked below")
    first, length, rest, tail = map(int, ranges[-1])
    if first or rest + tail != len(raw) or raw[length : length + 1] != b"<" or raw[rest - 1 : rest] != b">":
        raise Bad("the PDF's signature does not cover the entire file: something was added after it was signed")
    cms = bytes.fromhex(raw[length + 1 : rest - 1].decode("ascii"))
    content = inner(cms, *der(cms, 0)[1:])[1]
    signed = inner(cms, *der(cms, content[2])[1:])
    certificate = next(one for one in signed if one[0] == 0xA0)
    _, start, _, stop = inner(cms, *certificate[2:])[0]
    known = x509.load_der_x509_certificate(cms[start:stop])
    signer = inner(cms, *inner(cms, *signed[-1][2:])[0][2:])
    attributes = next(one for one in signer if one[0] == 0xA0)
    signature = cms[slice(*next(one for one in signer if one[0] == 0x04)[2:])]
    named = [inner(cms, *one[2:]) for one in inner(cms, *attributes[2:])]
    said = [cms[slice(*inner(cms, *value[2:])[0][2:])] for oid, value in named if cms[oid[2] : oid[3]] == MESSAGE_DIGEST]
    if said != [sha256(raw[:length] + raw[rest:])]: raise Bad("the PDF was changed since it was signed")
    message, key = b"\x31" + cms[attributes[1] + 1 : attributes[3]], known.public_key()
    how = [padding.PKCS1v15(), hashes.SHA256()] if isinstance(key, rsa.RSAPublicKey) else [ec.ECDSA(hashes.SHA256())]
    try:
        key.verify(signature, message, *how)
    except InvalidSignature as error:
        raise Bad("the PDF's signature is not one of this file") from error
    return f"the entire PDF is signed by {known.subject.rfc4514_string()}, SHA-256 {known.fingerprint(hashes.SHA256()).hex()}"

def check_manifest(files, manifest):
    """Every file is there and has the digest that the manifest names, and there is no other."""
    named = manifest["files"]
    missing = sorted((set(named) | set(REQUIRED)) - set(files))
    extra = sorted(set(files) - set(named) - {"manifest.json"})
    if missing or extra: raise Bad(f"missing: {', '.join(missing) or 'none'}; not named in the manifest: {', '.join(extra) or 'none'}")
    for name, digest in named.items():
        if hashlib.sha256(files[name]).hexdigest() != digest: raise Bad(f"{name} is not the file that the manifest names")
    return f"{len(named)} files have the digests that the manifest names"

def key_of(line: str) -> dict:
    """Read a public key: name, id, kind (1 a log, 4 a witness) and the 32 bytes."""
    name, key_id, encoded = [*line.strip().split("+", 2), "", ""][:3]
    raw = unbase64(encoded, "the key")
    if len(raw) != 33 or raw[0] not in (1, 4) or sha256(name.encode() + b"\n" + raw)[:4].hex() != key_id:
        raise Unknown(f"no public key in {line.strip()[:60]!r}")
    return {"name": name, "id": key_id, "kind": raw[0], "public": raw[1:], "line": line.strip()}

def note_of(raw):
    """Take a note apart: its text, the checkpoint in it, and the signatures by name and key id."""
    note = raw.decode("utf-8", "strict")
    text, blank, tail = note.rpartition("\n\n")
    lines = (text + "\n").split("\n")
    if not blank or len(lines) < 4 or not lines[1].isascii() or not lines[1].isdecimal(): raise Bad("it is no signed checkpoint")
    signatures = {}
    for line in tail.removesuffix("\n").split("\n"):
        signed = re.fullmatch("\u2014 ([^ ]+) ([^ ]+)", line)
        if not signed: raise Bad("a line of it is no signature")
        blob = unbase64(signed[2], "a signature")
        signatures.setdefault((signed[1], blob[:4].hex()), blob[4:])
    return text + "\n", {"origin": lines[0], "size": int(lines[1]), "root": unbase64(lines[2], "the root")}, signatures

def is_signed(text, signatures, key):
    """Whether the key signed the text; a wrong signature under its name and id is worse than none."""
    blob = signatures.get((key["name"], key["id"]))
    if blob is None: return False
    message = text.encode()
    if key["kind"] == 4:
        at, blob = int.from_bytes(blob[:8], "big"), blob[8:]
        message = f"cosignature/v1\ntime {at}\n{text}".encode()
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(key["public"]).verify(blob, message)
    except InvalidSignature as error:
        raise Bad(f"the signature of {key['name']} is not one of this text") from error
    return True

def check_checkpoint(files, manifest, keys, witnesses, quorum):
    """The checkpoint is signed by a key that was given from elsewhere, and is the manifest's."""
    text, head, signatures = note_of(files["checkpoint.txt"])
    if any(head[name] != manifest["log"][name] for name in ("origin", "size")): raise Bad("it is of another log or size than the manifest says")
    says = f"{head['size']:,} events of {head['origin']}, root {head['root'].hex()[:16]}"
    if not keys:
        offered = [key_of(line) for line in files["keys.txt"].decode().splitlines() if line.strip()]
        prints = [hashlib.sha256(key["line"].encode()).hexdigest() for key in offered if is_signed(text, signatures, key)]
        raise Unknown(f"{says}; no key was given, so nobody knows whose it is. Signed by SHA-256 {', '.join(prints) or 'none of its own keys'}")
    if not any(is_signed(text, signatures, key) for key in keys if key["kind"] == 1): raise Bad(f"{says}; it is not signed by a key that was given")
    cosigned = [key["name"] for key in witnesses if is_signed(text, signatures, key)]
    if len(cosigned) < quorum: raise Bad(f"{says}; {len(cosigned)} of the {quorum} witnesses that were asked for have signed it")
    return says + (f", witnessed by {', '.join(cosigned)}" if cosigned else "")

def path_of(proof): return [unbase64(step, "a proof") for step in proof]

def sides(at, last, steps):
    """Yield for each step from a node up whether its sibling stands on the left."""
    for _ in range(steps):
        if last == 0: raise Bad("a proof is too long")
        is_left = bool(at & 1) or at == last
        if is_left:
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        yield is_left
        at, last = at >> 1, last >> 1
    if last != 0: raise Bad("a proof is too short")

def root_from(found, index, size, proof):
    """Return the root that a leaf's proof gives, which is of an entry of a tree."""
    if not 0 <= index < size: raise Bad(f"a proof is of entry {index} in a log of {size}")
    path = path_of(proof)
    for sibling, is_left in zip(path, list(sides(index, size - 1, len(path)))):
        found = node(sibling, found) if is_left else node(found, sibling)
    return found

def check_growth(old, new, proof):
    """The newer tree begins with the older one's leaves."""
    if old["origin"] != new["origin"]: raise Unknown(f"the earlier checkpoint is of another log, {old['origin']}")
    if old["size"] > new["size"]: raise Bad(f"the log had {old['size']:,} events before and has {new['size']:,} now")
    if old["size"] in (0, new["size"]):
        if old["size"] and old["root"] != new["root"]: raise Bad("two checkpoints of one size have different roots: there are two histories")
        return f"the log is as it was at {old['size']:,} events"
    hashes = path_of(proof) if old["size"] & (old["size"] - 1) else [old["root"], *path_of(proof)]
    if not hashes: raise Unknown("the bundle holds no proof from that checkpoint")
    shared = (old["size"] & -old["size"]).bit_length() - 1
    before = after = hashes[0]
    for sibling, is_left in zip(hashes[1:], list(sides((old["size"] - 1) >> shared, (new["size"] - 1) >> shared, len(hashes) - 1))):
        before = node(sibling, before) if is_left else before
        after = node(sibling, after) if is_left else node(after, sibling)
    if before != old["root"] or after != new["root"]:
        raise Bad(f"the log does not go on from its {old['size']:,} events: what stood there was changed")
    return f"the log only grew, from {old['size']:,} to {new['size']:,} events"

def stored(event, name):
    """Return the recorded bytes of an event's data or metadata."""
    if f"{name}_raw" in event: return event[f"{name}_raw"].encode()
    return unbase64(event.get(f"{name}_raw_b64"), f"{name}_raw_b64")

def digest(raw):
    gone = WITHDRAWN.fullmatch(raw)  # purged or erased: the digest of what stood there is left
    return gone[1].decode() if gone else hashlib.sha256(raw).hexdigest()

def leaf_of(event):
    """Return an event's leaf hash: of the envelope that names it and the digests of its recorded bytes."""
    data, metadata = stored(event, "data"), stored(event, "metadata")
    keys = sorted({key.decode() for raw in (data, metadata) for key in SUBJECT_KEY.findall(raw)})
    envelope = {name: event[name] for name in ("project", "stream", "version", "type", "schema", "recorded_at")}
    envelope |= {"v": 1, "event_id": event["id"], "subject_keys": event.get("subject_keys", keys)}
    envelope |= {"data_sha256": digest(data), "meta_sha256": digest(metadata)}
    entry = json.dumps(envelope, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return sha256(b"\x00" + entry)

def exact(value):
    """Integers past 2^53 stand as text on the wire."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53: return str(value)
    if isinstance(value, dict): return {key: exact(inner) for key, inner in value.items()}
    return [exact(inner) for inner in value] if isinstance(value, list) else value

def check_events(events, head, proofs):
    """Each event, as it was recorded, stands in the log under the checkpoint, in this order."""
    before, gone = -1, 0
    if len(proofs) != len(events): raise Bad(f"there are {len(proofs):,} proofs of {len(events):,} events")
    for event in events:
        who = f"{event['stream']} version {event['version']}"
        proof = proofs.get(event["id"])
        if proof is None or proof["index"] != event["log_index"]: raise Bad(f"{who} has no proof of its place")
        if root_from(leaf_of(event), proof["index"], head["size"], proof["path"]) != head["root"]:
            raise Bad(f"{who} is not what was sealed at entry {proof['index']:,}")
        marks = [WITHDRAWN.fullmatch(stored(event, name)) for name in ("data", "metadata")]
        if len({mark and mark[2] for mark in marks}) == 2: raise Bad(f"{who}: data and metadata are not gone by one order")
        for name in ("data", "metadata"):
            if exact(json.loads(stored(event, name))) != event[name]: raise Bad(f"{who} shows another {name} than was recorded")
        if event["log_index"] <= before: raise Bad(f"{who} stands out of order")
        before, gone = event["log_index"], gone + bool(marks[0])
    words = f"{len(events):,} events are as they were sealed, each with its proof, in the journal's order"
    return words + (f"; the payloads of {gone:,} were purged or erased since: their digests stay" if gone else "")

def check_times(events, head, top, proofs):
    """Each event occurred when it was sealed to have: a second tree, entry for entry that of the log."""
    if (top["origin"], top["size"]) != (head["origin"] + "/occurred", head["size"]): raise Bad("the times are of another log or size")
    for event in events:
        fields, proof = {"event_id": event["id"], "occurred_at": event["occurred_at"], "v": 1}, proofs[event["id"]]
        leaf = sha256(b"\x00" + json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode())
        if root_from(leaf, proof["index"], top["size"], proof["occurred"]) != top["root"]:
            raise Bad(f"{event['stream']} version {event['version']} did not occur at {event['occurred_at']}: another time was sealed")
    return f"{len(events):,} events occurred when they were sealed to have"

def check_journal(manifest):
    """The journal was as it was sealed when this was made of it, as whoever made it says."""
    if manifest and "journal" not in manifest: raise Unknown("the whole journal was not checked yet when it was made")
    if manifest["journal"]["wrong"]: raise Bad(f"the journal it was made of was altered: {manifest['journal']['wrong'][0]}")
    return f"all {manifest['journal']['checked']:,} sealed events of the journal were as they were sealed, it says"

def check_streams(events, manifest):
    """No version is missing of any stream, but those that the manifest names with a reason."""
    seen = {event["stream"]: set() for event in events}
    for event in events: seen[event["stream"]].add(event["version"])
    if set(seen) != set(manifest["streams"]): raise Bad("the manifest names other streams than the events are of")
    left_out = 0
    for stream, said in manifest["streams"].items():
        named = {version for gap in said["left_out"] for version in range(gap["from"], gap["to"] + 1)}
        if seen[stream] & named or seen[stream] | named != set(range(said["first"], said["last"] + 1)):
            hole = sorted(set(range(said["first"], said["last"] + 1)) - seen[stream] - named)
            raise Bad(f"{stream}: {f'version {hole[0]} is missing' if hole else 'other versions than it names'}")
        left_out += len(named)
    return f"{len(seen):,} runs without a hole; {left_out:,} versions left out by name and reason"

def moment(text): return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None

def check_query(events, manifest):
    """Every event answers what was asked, and there are as many as the manifest counts."""
    query, since, until = manifest["query"], moment(manifest["query"]["from"]), moment(manifest["query"]["until"])
    types, other = {}, (None, "", query["correlation"])
    for event in events:
        at, meta = moment(event["occurred_at"]), event["metadata"]
        wrong = {
            "occurred outside the period": (since and at < since) or (until and at > until),
            "is of another project": event["project"] != query["project"],
            "names other subjects only": query["subject"] and query["subject"] not in (meta.get("subjects") or [query["subject"]]),
            "is of another correlation": query["correlation"] and meta.get("correlationId") not in other,
            "is of another tool": query["tool"] and event["data"].get("toolName") != query["tool"],
        }
        for words in (words for words, is_wrong in wrong.items() if is_wrong): raise Bad(f"{event['stream']} version {event['version']} {words}")
        types[event["type"]] = types.get(event["type"], 0) + 1
    counts = {"events": len(events), "streams": len(manifest["streams"]), "by_type": types}
    if counts != manifest["counts"]: raise Bad(f"the manifest counts {manifest['counts']['events']:,} events; there are {len(events):,}")
    account = manifest["completeness"]
    rest = sum(account["left_out"].values()) + account["others"] + account["unnamed"] + account["own"]
    if account["covered"] != len(events) or account["covered"] + rest != account["in_period"]:
        raise Bad("the account of the period does not add up")
    return f"all answer the query, the counts are right, and {account['in_period']:,} events of the period are accounted for"

def verify(files: dict, *, keys=(), previous=None, witnesses=(), quorum=0, say=print, pdf=None) -> int:
    """Make every check and say each in a line. Returns the exit code."""
    verdicts = []
    def check(name, make):
        try:
            verdict, words = PASS, make()
        except Exception as error:  # noqa: BLE001 - whatever hostile bytes bring about ends this check alone
            verdict, words = judged(error)
        verdicts.append(verdict)
        say(line_of(verdict, name, words))
    manifest, parts = {}, {}
    def read():
        manifest.update(json.loads(files["manifest.json"]))
        parts["events"] = [json.loads(line) for line in files["events.jsonl"].splitlines()]
        parts.update(json.loads(files["proofs.json"]))
        parts["head"] = note_of(files["checkpoint.txt"])[1]
        return check_manifest(files, manifest)
    def growth(note, what):
        text, old, signatures = note_of(note)
        if keys and not any(is_signed(text, signatures, key) for key in keys if key["kind"] == 1):
            raise Bad(f"the {what} checkpoint is not signed by a key that was given")
        return old
    def kept():
        old, own = growth(previous, "earlier"), files["previous-checkpoint.txt"]
        if old["size"] not in (0, parts["head"]["size"]) and (not own or note_of(own)[1] != old):
            raise Unknown(f"this bundle holds no proof from the checkpoint at {old['size']:,} events; ask for one")
        return check_growth(old, parts["head"], parts["consistency"])
    def times():
        if "proofs" in parts and not parts.get("occurred_checkpoint"): raise Unknown("no times were sealed yet when it was made")
        return check_times(parts["events"], parts["head"], growth(parts["occurred_checkpoint"].encode(), "times'"), parts["proofs"])
    if pdf is not None: check("pdf", lambda: check_signature(pdf))
    check("files", read)
    check("checkpoint", lambda: check_checkpoint(files, manifest, keys, witnesses, quorum))
    check("events", lambda: check_events(parts["events"], parts["head"], parts["proofs"]))
    check("times", times)
    check("streams", lambda: check_streams(parts["events"], manifest))
    check("query", lambda: check_query(parts["events"], manifest))
    check("journal", lambda: check_journal(manifest))
    if own := files.get("previous-checkpoint.txt"):
        check("growth", lambda: check_growth(growth(own, "previous"), parts["head"], parts["consistency"]))
    if previous is not None: check("earlier report", kept)
    return 1 if FAIL in verdicts else 2 if UNKNOWN in verdicts else 0

def main(arguments: list[str] | None = None, say=print) -> int:
    parser = argparse.ArgumentParser(description="Check an evidence bundle offline.")
    parser.add_argument("file", help="the report (.pdf) or bundle (.zip)")
    parser.add_argument("--key", action="append", default=[], help="file with the log's public key, or the line itself")
    parser.add_argument("--previous", help="an earlier bundle, or a checkpoint in a file of its own")
    parser.add_argument("--witness", action="append", default=[], help="file with a witness's public key, or the line")
    parser.add_argument("--quorum", type=int, default=0, help="how many witnesses have to have signed")
    given = parser.parse_args(arguments)
    def keys(values):
        texts = [Path(value).read_text() if Path(value).is_file() else value for value in values]
        return [key_of(line) for text in texts for line in text.splitlines() if line.strip()]
    try:
        previous = Path(given.previous).read_bytes() if given.previous else None
        if previous and previous[:4] in (b"%PDF", b"PK\x03\x04"): previous = files_of(given.previous)[0]["checkpoint.txt"]
        witnesses = keys(given.witness)
        quorum = max(given.quorum, 1 if witnesses else 0)
        files, pdf = files_of(given.file)
        return verify(files, pdf=pdf, keys=keys(given.key), previous=previous, witnesses=witnesses, quorum=quorum, say=say)
    except Exception as error:  # noqa: BLE001 - a traceback's exit code would say that a check failed
        say(line_of(FAIL if isinstance(error, Bad) else UNKNOWN, "file", judged(error)[1]))
        return 1 if isinstance(error, Bad) else 2

if __name__ == "__main__":
    sys.exit(main())
