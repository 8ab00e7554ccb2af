"""Writes tests/data, the sample data of the project's own making: python3 scripts/sample_data.py [--check]

The same bytes on every machine and under every Python from 3.9. With --check nothing is written: files that differ from what
would be written are named, and the exit status is 1.
"""

import sys
from pathlib import Path

from sample.chance import Chance
from sample.labels import label_files
from sample.stories import corpus_file

DATA = Path(__file__).resolve().parent.parent / "tests" / "data"
CORPUS = ["town", "coast", "village", "country"]
CORPUS_CHARACTERS = 90_000  # a file


def all_files():
    """Path under tests/data -> content."""
    files = {f"corpus/{name}.txt": corpus_file(Chance("corpus " + name), name, CORPUS_CHARACTERS) for name in CORPUS}
    files.update(label_files())
    return {name: text.encode() for name, text in files.items()}


def check(files):
    """Names what differs from the generator, and returns the exit status."""
    differing = [name for name, content in files.items() if not (DATA / name).is_file() or (DATA / name).read_bytes() != content]
    for name in differing:
        print(f"tests/data/{name} is not what scripts/sample_data.py writes", file=sys.stderr)
    return 1 if differing else 0


def write(files):
    for name, content in files.items():
        path = DATA / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_bytes(content)
        part.replace(path)
    print(f"{len(files)} files, {sum(map(len, files.values())) / 1e3:.0f} kB in {DATA}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__.splitlines()[0])
    sys.exit((check if sys.argv[1:] else write)(all_files()))
