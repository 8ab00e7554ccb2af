"""The side of a program that takes turns with others: says what it is, then makes a step whenever it is asked to.

Standard input and output carry a line of JSON each time; `--turns` of the bench `step` speaks the same way.
"""

import json
import sys
import time


def arguments():
    """The sizes of the model, the way to run it, and the number of threads, as compare.py passes them."""
    sizes, way, threads = sys.argv[1:]
    return json.loads(sizes), way, int(threads)


def tokens(sizes):
    """The tokens that are read, and those that follow: lists `[T][B]`, the same as grulm's bench reads."""
    time, batch = sizes["time"], sizes["batch"]
    rows = [[(row * batch + lane) * 7919 % sizes["vocabulary"] for lane in range(batch)] for row in range(time + 1)]
    return rows[:-1], rows[1:]


def widths(sizes):
    """The width of each layer's output: the last is as wide as the embedding where the weights are tied."""
    last = sizes["embedding"] if sizes["tied"] else sizes["hidden"]
    return [sizes["hidden"]] * (sizes["layers"] - 1) + [last]


def take(versions, step):
    """Warms `step` up, then answers each line by the seconds and the loss of a step, after one that is not timed."""
    step()
    print(json.dumps(versions), flush=True)
    for _ in sys.stdin:
        step()
        begun = time.perf_counter()
        loss = step()
        print(json.dumps([time.perf_counter() - begun, loss]), flush=True)
