#!/usr/bin/env python3
"""Makes the corpora that fuzzing begins with: `make.py FOLDER` writes FOLDER/TARGET/*.

From what stands in the repository anyway: the built-in tables, and the vectors beside them as requests in the form of
fuzz/src/wire.rs. The few that are written by hand stand beside this file.
"""

import base64
import hashlib
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
BUILTIN = ROOT / "src/providers/builtin"
# Signers of fuzz/src/sign.rs whose name is not their scheme's.
SIGNERS = {"twilio": ["twilio", "twilio-json"]}
LONGEST = 8192


def wire(who, vector):
    head = [who, str(vector.get("now_unix", 1760000000))]
    head.append(f'{vector.get("method") or "POST"} {vector.get("url", "")}')
    for name, lines in vector.get("headers", {}).items():
        for line in lines if isinstance(lines, list) else [lines]:
            head.append(f"{name}: {line}")
    body = base64.b64decode(vector.get("body_b64", ""))
    return "\n".join(head).encode() + b"\n\n" + body


def settings(name, text):
    """A built-in table as it would stand in hookgate.toml."""
    out, inside = [f"[providers.{name}]"], False
    for line in text.splitlines():
        found = None if inside else re.fullmatch(r"(\[\[?)([a-z_.]+)(\]\]?)", line)
        out.append(f"{found[1]}providers.{name}.{found[2]}{found[3]}" if found else line)
        if line.count("'''") % 2:
            inside = not inside
    return "\n".join(out).encode() + b"\n"


def seeds():
    for path in sorted(BUILTIN.glob("*.toml")):
        name, text = path.stem, path.read_text()
        yield "tables", settings(f"own-{name}", re.sub(r"(?s)\n\[\[sample\]\].*", "\n", text))
        vectors = BUILTIN / f"{name}.vectors.json"
        for vector in json.loads(vectors.read_text()) if vectors.exists() else []:
            yield "requests", wire(name, vector)
            yield "signed", wire(f"read:{name}", vector)
            # A signer makes the signature anew; names that have none are read by every scheme, which is slow.
            for signer in SIGNERS.get(name, [name]):
                if f'"{signer}"' in SIGNED:
                    yield "signed", wire(signer, vector)
    for block in re.findall(r"(?s)```toml\n(.*?)```", (ROOT / "docs/providers.md").read_text()):
        yield "tables", block.encode()
    for path in sorted(HERE.glob("*/*")):
        yield path.parent.name, path.read_bytes()


SIGNED = (HERE.parent / "src/sign.rs").read_text()
folder, counts = pathlib.Path(sys.argv[1]), {}
for target, seed in seeds():
    if len(seed) > LONGEST:
        continue
    file = folder / target / hashlib.sha1(seed).hexdigest()
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        file.write_bytes(seed)
    counts[target] = counts.get(target, 0) + 1
print(", ".join(f"{target} {count}" for target, count in sorted(counts.items())))
