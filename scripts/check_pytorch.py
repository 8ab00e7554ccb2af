#!/usr/bin/env python3
"""Rebuilds a grulm model from torch.nn layers and compares its logits with grulm's.

Optional: needs Python with torch and safetensors, which nothing else in this repository does.

    cargo run -p grulm-model --example logits -- MODEL 5 17 42 > logits.json
    scripts/check_pytorch.py MODEL logits.json

MODEL is a bundle folder. Exits 1 where a logit differs by more than 1e-4 times the largest one (by more than 1e-4 where all
are smaller than 1).
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file


def stack(weights, reading):
    """The layers of a direction: each a one-layer torch.nn.GRU that takes its weights by name."""
    layers = []
    while f"encoder.{reading}.rnns.{len(layers)}.weight_ih_l0" in weights:
        prefix = f"encoder.{reading}.rnns.{len(layers)}."
        own = {name.removeprefix(prefix): weights.pop(name) for name in list(weights) if name.startswith(prefix)}
        gru = torch.nn.GRU(own["weight_ih_l0"].shape[1], own["weight_hh_l0"].shape[1])
        gru.load_state_dict(own)
        layers.append(gru)
    return layers


def linear(weights, prefix, tied=None):
    """torch.nn.Linear of these weights; `tied` are used where the file has none."""
    weight = weights.pop(f"{prefix}.weight", tied)
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": weights.pop(f"{prefix}.bias")})
    return layer


@torch.no_grad()
def main(folder, dump):
    shape = json.loads((folder / "model.json").read_text())["model"]
    weights = load_file(folder / "model.safetensors")
    expected = json.loads(dump.read_text())
    tokens = torch.tensor(expected["tokens"], dtype=torch.int64)
    embedding = weights.pop("encoder.embedding.weight")
    decoder = linear(weights, "decoder", embedding if shape["tie_weights"] else None)
    worst = 0.0
    for reading, logits in expected["logits"].items():
        x = torch.nn.functional.embedding(tokens, embedding).unsqueeze(1)
        layers = stack(weights, reading)
        if len(layers) != shape["layers"]:
            sys.exit(f"{reading}: {len(layers)} layers in the weights; model.json says {shape['layers']}")
        for gru in layers:
            x, _ = gru(x)
        if shape["projection"]:
            x = linear(weights, f"decoder.projection.{reading}")(x)
        found, own = decoder(x).squeeze(1), torch.tensor(logits)
        difference = (found - own).abs().max().item()
        print(f"{reading}: {own.numel()} logits, largest {own.abs().max().item():.4f}, largest difference {difference:.3e}")
        worst = max(worst, difference / max(1.0, own.abs().max().item()))
    if weights:
        sys.exit(f"weights that no layer took: {sorted(weights)}")
    if not worst <= 1e-4:
        sys.exit("the logits differ")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
