"""A training step in PyTorch: one nn.GRU a layer over whole sequences, cross-entropy, fused Adam.

Ways: "eager fp32", "autocast bf16", and both with what follows the GRU under torch.compile ("compile fp32", "compile bf16"),
which needs a C++ compiler. The GRU itself stays outside: torch.compile passes over it unless told to unroll it in time, which
takes minutes and gained nothing (ptb, two Zen 4 cores: 0.40 s a step both ways in fp32, 0.22 s in bf16).
"""

import torch
from torch import nn

import turns


class LanguageModel(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.embedding = nn.Embedding(sizes["vocabulary"], sizes["embedding"])
        outputs = turns.widths(sizes)
        inputs = [sizes["embedding"], *outputs[:-1]]
        if len(set(outputs)) == 1:  # such layers are one call
            self.layers = nn.ModuleList([nn.GRU(inputs[0], outputs[0], num_layers=len(outputs))])
        else:
            self.layers = nn.ModuleList(nn.GRU(*pair) for pair in zip(inputs, outputs))
        self.softmax = nn.Linear(outputs[-1], sizes["vocabulary"])
        if sizes["tied"]:
            self.softmax.weight = self.embedding.weight

    def forward(self, tokens, targets, states):
        """`[T, B]` tokens and a state a layer: the mean loss, and the states after it, cut from the gradient."""
        x, after = self.embedding(tokens), []
        for layer, state in zip(self.layers, states):
            x, state = layer(x, state)
            after.append(state.detach().float())
        return self.loss(x, targets), after

    def loss(self, x, targets):
        """The mean loss of the GRU's output `[T, B, H]`."""
        return nn.functional.cross_entropy(self.softmax(x).flatten(0, 1), targets.flatten())


def main():
    sizes, way, threads = turns.arguments()
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = LanguageModel(sizes)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    inputs, targets = (torch.tensor(rows) for rows in turns.tokens(sizes))
    states = [torch.zeros(layer.num_layers, sizes["batch"], layer.hidden_size) for layer in model.layers]
    if way.startswith("compile"):
        model.loss = torch.compile(model.loss)

    def step():
        nonlocal states
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=way.endswith("bf16")):
            loss, states = model(inputs, targets, states)
        loss.backward()
        optimizer.step()
        return loss.item()

    turns.take(f"PyTorch {torch.__version__}", step)


if __name__ == "__main__":
    main()
