"""One greedy sequence in PyTorch, a token at a time.

    pytorch_generate.py WAY THREADS TOKENS

Ways: "fp32 cell" and "bf16 cell" (`torch.gru_cell` a layer), "fp32 nn.GRU" and "bf16 nn.GRU" (one call for all layers), and
"int8 dynamic" (`torch.ao.quantization.quantize_dynamic` of nn.GRU and nn.Linear). A turn is TOKENS tokens. The next token stays a
tensor: reading its number would only cost time.
"""

import sys
import warnings

import torch
from torch import nn

import turns

VOCABULARY, EMBEDDING, HIDDEN, LAYERS = 5000, 512, 1024, 2


class Cells(nn.Module):
    """The layers of an `nn.GRU`, each a cell."""

    def __init__(self, gru):
        super().__init__()
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        self.weights = [[getattr(gru, f"{name}_l{layer}") for name in names] for layer in range(gru.num_layers)]

    def forward(self, x, states):
        after = []
        for weights, state in zip(self.weights, states):
            x = torch.gru_cell(x, state, *weights)
            after.append(x)
        return x, after


class Model(nn.Module):
    def __init__(self, way):
        super().__init__()
        kind = torch.bfloat16 if way.startswith("bf16") else torch.float32
        self.embedding = nn.Embedding(VOCABULARY, EMBEDDING, dtype=kind)
        self.gru = nn.GRU(EMBEDDING, HIDDEN, num_layers=LAYERS, dtype=kind)
        self.softmax = nn.Linear(HIDDEN, VOCABULARY, dtype=kind)
        self.state, self.shape = torch.zeros(LAYERS, 1, HIDDEN, dtype=kind), (1, 1, EMBEDDING)
        if way.endswith("cell"):
            self.gru, self.state, self.shape = Cells(self.gru), list(self.state), (1, EMBEDDING)

    def forward(self, token):
        """The likeliest token after `token`, both `[1]`."""
        x, self.state = self.gru(self.embedding(token).view(self.shape), self.state)
        return self.softmax(x.view(1, HIDDEN)).argmax(-1)


def main():
    way, threads, tokens = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    model = Model(way).eval()
    if way == "int8 dynamic":
        warnings.simplefilter("ignore")  # it is deprecated, and there is no other of the kind in PyTorch itself
        model = torch.ao.quantization.quantize_dynamic(model, {nn.GRU, nn.Linear}, dtype=torch.qint8)
    token = torch.tensor([1])

    def generate():
        nonlocal token
        for _ in range(int(tokens)):
            token = model(token)

    with torch.inference_mode():
        turns.take(f"PyTorch {torch.__version__}", generate)


if __name__ == "__main__":
    main()
