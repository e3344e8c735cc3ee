"""Makes english.txt and multilingual.txt for bench/tokenizers from packages of Debian.

    make_corpus.py OUT [--megabytes 100]

Fetches documentation and translations with `apt-get download`, takes the text out of HTML, manual pages,
reStructuredText and .mo files, leaves out lines that were there before, and mixes the packages in blocks of
lines, so that any part of a file is like the whole. Python's standard library, apt-get and dpkg-deb.
"""
import argparse
import gzip
import html
import io
import os
import re
import struct
import subprocess
import tarfile

ENGLISH = ["linux-doc-6.1", "python3.11-doc", "libreoffice-help-en-us", "perl-doc", "git-doc", "manpages", "manpages-dev",
           "debian-reference-en", "postgresql-doc-15", "rust-doc"]
MULTILINGUAL = [f"libreoffice-help-{x}" for x in
                ("de", "fr", "ru", "zh-cn", "ja", "ko", "hi", "el", "vi", "tr", "es", "pt-br", "it", "pl")] + [
    f"manpages-{x}" for x in ("de", "fr", "ru", "ja", "pl", "zh")] + [
    f"libreoffice-l10n-{x}" for x in ("ar", "th", "he", "uk", "ta", "bn", "ka", "am", "fa")] + ["iso-codes"]

SCRIPTS = re.compile(r"<(script|style)\b.*?</\1\s*>", re.S | re.I)
TAGS = re.compile(r"<[^>]*>")
MACRO = re.compile(r"^\.(\\\"|TH|SH|so|de|if|ie|el|ds|nr|tr|rm|\.).*", re.M)
ROFF = re.compile(r"\\f[A-Z(\[]\w*\]?|\\[&|^/,)]|^\.[A-Za-z]{1,2} ?", re.M)


def text_of_mo(data):
    """The translations of a compiled catalog."""
    if len(data) < 28:
        return ""
    order = "<" if struct.unpack("<I", data[:4])[0] == 0x950412de else ">"
    count, _, table = struct.unpack(order + "3I", data[8:20])
    pieces = []
    for i in range(count):
        length, offset = struct.unpack_from(order + "2I", data, table + 8 * i)
        pieces.append(data[offset:offset + length].decode("utf-8", "ignore").replace("\0", "\n"))
    return "\n".join(pieces)


def text_of(name, data):
    if name.endswith(".gz"):
        name, data = name[:-3], gzip.decompress(data)
    if name.endswith(".mo"):
        return text_of_mo(data)
    text = data.decode("utf-8", "ignore")
    if name.endswith((".html", ".htm")):
        return html.unescape(TAGS.sub(" ", SCRIPTS.sub(" ", text)))
    if re.search(r"/man\d/", name):
        return ROFF.sub("", MACRO.sub("", text)).replace("\\-", "-").replace("\\(aq", "'")
    return text if name.endswith((".rst", ".txt", ".pod")) else ""


def lines_of(package, folder, seen):
    """Lines of a package that no earlier one had."""
    archive = next((f for f in os.listdir(folder) if f.startswith(package + "_")), None)
    if archive is None:
        subprocess.run(["apt-get", "download", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        archive = next(f for f in os.listdir(folder) if f.startswith(package + "_"))
    data = subprocess.run(["dpkg-deb", "--fsys-tarfile", os.path.join(folder, archive)], check=True,
                          stdout=subprocess.PIPE).stdout
    lines = []
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            if not member.isfile():
                continue
            for line in text_of(member.name, tar.extractfile(member).read()).splitlines():
                line = line.rstrip()
                if len(line) > 2 and hash(line) not in seen:
                    seen.add(hash(line))
                    lines.append(line)
    print(f"{package}: {len(lines)} lines, {sum(len(l.encode()) for l in lines) / 1e6:.1f} MB", flush=True)
    return lines


def write(path, packages, folder, limit):
    seen = set()
    sources = [lines_of(package, folder, seen) for package in packages]
    block, position = 64, 0
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        # Each source gives blocks in proportion to its size, so that all end together.
        steps = max(len(s) for s in sources) // block + 1
        for step in range(steps):
            for lines in sources:
                for line in lines[len(lines) * step // steps:len(lines) * (step + 1) // steps]:
                    out.write(line + "\n")
            position = out.tell()
            if position >= limit:
                break
    print(f"{path}: {position / 1e6:.1f} MB")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--megabytes", type=float, default=100)
    options = parser.parse_args()
    folder = os.path.join(options.out, "packages")
    os.makedirs(folder, exist_ok=True)
    for name, packages in (("english.txt", ENGLISH), ("multilingual.txt", MULTILINGUAL)):
        write(os.path.join(options.out, name), packages, folder, options.megabytes * 1e6)


if __name__ == "__main__":
    main()
