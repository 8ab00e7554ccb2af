#!/usr/bin/env python3
"""Prints those rows of a label file whose text stands in none of the others, letter case and punctuation aside.

    scripts/unseen.py FILE OTHER...         JSON Lines, plain or .gz; says on standard error how many there are

For instance the validation reviews of ChnSentiCorp that are not training reviews too:

    scripts/unseen.py data/sentiment/chnsenticorp/valid.jsonl.gz data/sentiment/chnsenticorp/train.jsonl.gz > unseen.jsonl
"""

import gzip
import json
import sys

from compare_linear import plain


def lines(name):
    with (gzip.open if name.endswith(".gz") else open)(name, "rt", encoding="utf-8", newline="\n") as file:
        yield from file


def text(line):
    return plain(json.loads(line)["text"])


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    _, name, *others = sys.argv
    seen = {text(line) for other in others for line in lines(other)}
    rows = list(lines(name))
    unseen = [line for line in rows if text(line) not in seen]
    sys.stdout.write("".join(unseen))
    print(f"{len(unseen)} of {len(rows)} rows of {name} stand in no other file", file=sys.stderr)


if __name__ == "__main__":
    main()
