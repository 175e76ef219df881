#!/usr/bin/env python3
"""Makes examples/data/from_pytorch.safetensors: the weights of a small network in PyTorch, an input, and what it makes of it.

`examples/from_pytorch.rs` builds the same network and compares.

    python3 tools/from_pytorch.py
"""

import pathlib

import torch
from safetensors.torch import save_file
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Net(nn.Module):
    """Reads a picture column by column."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.lstm = nn.LSTM(4 * 8, 12, batch_first=True)
        self.fc = nn.Linear(12, 5)

    def forward(self, x):  # [n, 1, 8, 10]
        x = nn.functional.gelu(self.norm(self.conv(x)))
        columns = x.permute(0, 3, 1, 2).flatten(2)
        return self.fc(self.lstm(columns)[0][:, -1]).softmax(-1)


def main():
    torch.manual_seed(0)
    net = Net()
    for _ in range(20):  # statistics of the norm that are not those of the start
        net(torch.randn(16, 1, 8, 10) * 2 + 0.5)
    net.eval()
    x = torch.randn(3, 1, 8, 10)
    with torch.no_grad():
        y = net(x)
    path = ROOT / "examples" / "data" / "from_pytorch.safetensors"
    save_file(net.state_dict() | {"example.input": x, "example.output": y}, path)
    path.chmod(0o644)


if __name__ == "__main__":
    main()
