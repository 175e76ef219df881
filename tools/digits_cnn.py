#!/usr/bin/env python3
"""Makes examples/data/digits_cnn.onnx: a small CNN that has learnt the digits from 0 to 4 in PyTorch, exported for any batch size.

`examples/onnx_finetune.rs` teaches its last layer the other five.

    python3 tools/digits_cnn.py
"""

import pathlib

import numpy as np
import torch
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(512, 32), nn.Linear(32, 10)

    def forward(self, x):
        x = torch.relu(self.conv1(x))
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2)
        return self.fc2(torch.relu(self.fc1(torch.flatten(x, 1))))


def main():
    torch.manual_seed(0)
    rows = np.loadtxt(ROOT / "cli/data/digits.csv", delimiter=",", skiprows=1, dtype=np.float32)
    rows = rows[rows[:, -1] < 5]
    x, y = torch.tensor(rows[:, :-1]).reshape(-1, 1, 8, 8) / 16, torch.tensor(rows[:, -1]).long()
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(15):
        for part in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[part]), y[part]).backward()
            optimizer.step()
    path = ROOT / "examples/data/digits_cnn.onnx"
    torch.onnx.export(
        net.eval(), (x[:1],), str(path), input_names=["image"], output_names=["logits"], dynamo=False, opset_version=17,
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
    )


if __name__ == "__main__":
    main()
