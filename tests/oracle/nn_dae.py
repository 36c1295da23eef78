"""The paper's network in PyTorch -> nn_dae.json (tests/nn/test_network.c): logits, loss, gradients,
running statistics, and the loss over 20 Adam steps.

A gradient is recorded as its norm and PROJECTIONS inner products with signs; for an error e and
random signs r, E|<r, e>|^2 = |e|^2, so they estimate the norm of a difference.

  /usr/bin/python3 tests/oracle/nn_dae.py                writes the file
  /usr/bin/python3 tests/oracle/nn_dae.py FILE           loads a weight file written by Willis"""
import json
import os
import struct
import sys
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from nn_numbers import numbers

D, H, W = 24, 16, 24
PROJECTIONS, KEEP = 16, 9


class Encoder(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.conv, self.bn = nn.Conv3d(i, o, 3, padding=1), nn.BatchNorm3d(o)

    def forward(self, x):
        return F.max_pool3d(F.relu(self.bn(self.conv(x))), 2)


class Decoder(nn.Module):
    def __init__(self, i, o, norm):
        super().__init__()
        self.deconv = nn.ConvTranspose3d(i, o, 2, stride=2)
        if norm:
            self.bn = nn.BatchNorm3d(o)

    def forward(self, x):
        x = self.deconv(x)
        return F.relu(self.bn(x)) if hasattr(self, "bn") else x


class Dae(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc1, self.enc2, self.enc3 = Encoder(1, 32), Encoder(32, 64), Encoder(64, 128)
        self.dec1, self.dec2 = Decoder(128, 64, True), Decoder(64, 32, True)
        self.dec3 = Decoder(32, 1, False)

    def forward(self, x):
        for block in (self.enc1, self.enc2, self.enc3, self.dec1, self.dec2, self.dec3):
            x = block(x)
        return x


def focal(z, t, alpha, gamma):
    p = torch.sigmoid(z)
    ce = F.binary_cross_entropy_with_logits(z, t, reduction="none")
    p_t = p * t + (1 - p) * (1 - t)
    return ((alpha * t + (1 - alpha) * (1 - t)) * (1 - p_t) ** gamma * ce).mean()


def fill(model):
    """Weights from hashes: convolutions as wide as PyTorch's own start, gamma on both sides of 0."""
    stream = 0
    for name, p in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        v = torch.from_numpy(numbers(100 + stream, p.numel())).reshape(p.shape)
        kind = name.split(".", 1)[1]
        if kind in ("bn.running_var",):
            v = 1 + 0.5 * v
        elif kind == "bn.weight":
            v = 0.4 + v
        elif kind.endswith("conv.weight"):
            fan = p.shape[1] * (27 if kind == "conv.weight" else 8)
            v = v * np.float32(1 / np.sqrt(fan))
        else:
            v = 0.1 * v
        p.copy_(v)
        stream += 1


def read_safetensors(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8:8 + n]), data[8 + n:]
    types = {"F32": np.float32, "I64": np.int64}
    return {k: torch.from_numpy(np.frombuffer(body[slice(*v["data_offsets"])], types[v["dtype"]])
                                .reshape(v["shape"]).copy())
            for k, v in header.items() if k != "__metadata__"}


if len(sys.argv) > 1:
    print(Dae().load_state_dict(read_safetensors(sys.argv[1])))
    sys.exit()

torch.manual_seed(0)
model = Dae()
with torch.no_grad():
    fill(model)
x = torch.from_numpy(numbers(1, D * H * W)).reshape(1, 1, D, H, W) * 0.5 + 0.5
t = (torch.from_numpy(numbers(2, D * H * W)).reshape(1, 1, D, H, W) > 0.9).float()
exact = Dae().double()
exact.load_state_dict(model.state_dict())
exact.eval()
out = {"size": [W, H, D], "keep": KEEP, "alpha": 0.5, "gamma": 0.2}
out["logit"] = exact(x.double()).detach().reshape(-1)[::KEEP].tolist()
exact.train()
loss = focal(exact(x.double()), t.double(), 0.5, 0.2)
loss.backward()
out["loss"] = loss.item()
out["gradient"] = {}
for i, (name, p) in enumerate(exact.named_parameters()):
    g = p.grad.reshape(-1).numpy()
    signs = np.sign(numbers(1000 + i, PROJECTIONS * g.size).reshape(PROJECTIONS, g.size) + 1e-9)
    out["gradient"][name] = {"norm": float(np.linalg.norm(g)), "projection": (signs @ g).tolist()}
out["running"] = {k: v.tolist() for k, v in exact.state_dict().items() if "running" in k}
adam, out["losses"] = torch.optim.Adam(model.parameters(), lr=1e-3), []
for _ in range(20):
    adam.zero_grad()
    loss = focal(model(x), t, 0.5, 0.2)
    loss.backward()
    adam.step()
    out["losses"].append(loss.item())

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nn_dae.json")
with open(path, "w") as f:
    json.dump(json.loads(json.dumps(out), parse_float=lambda s: float("%.9g" % float(s))), f,
              separators=(",", ":"))
    f.write("\n")
