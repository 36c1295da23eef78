"""Each layer of src/nn against PyTorch in float64 -> nn_layers.json (tests/nn/test_layers.c).
Run: /usr/bin/python3 tests/oracle/nn_layers.py"""
import json
import os
import torch
import torch.nn.functional as F
from nn_numbers import numbers

D, H, W, I, O = 4, 6, 2, 3, 5


def tensor(stream, *shape):
    n = 1
    for s in shape:
        n *= s
    return torch.from_numpy(numbers(stream, n)).double().reshape(shape)


def last(x):  # [1][C][D][H][W] -> channels-last list
    return x.detach()[0].permute(1, 2, 3, 0).reshape(-1).tolist()


def first(x):  # channels-last [D][H][W][C] -> [1][C][D][H][W]
    return x.permute(3, 0, 1, 2).unsqueeze(0).contiguous().requires_grad_()


out = {}


def record(name, x, parameters, y, stream):
    g = first(tensor(stream, *[y.shape[i] for i in (2, 3, 4)], y.shape[1])).detach()
    y.backward(g)
    out[name] = {"y": last(y), "d_x": last(x.grad),
                 **{"d_" + k: p.grad.reshape(-1).tolist() for k, p in parameters.items()}}


def leaf(stream, *shape):
    return tensor(stream, *shape).requires_grad_()


x = first(tensor(1, D, H, W, I))
w, b = leaf(2, O, I, 3, 3, 3), leaf(3, O)
record("conv3d", x, {"weight": w, "bias": b}, F.conv3d(x, w, b, padding=1), 4)

x = first(tensor(1, D, H, W, I))
w, b = leaf(2, I, O, 2, 2, 2), leaf(3, O)
record("conv_transpose3d", x, {"weight": w, "bias": b}, F.conv_transpose3d(x, w, b, stride=2), 4)

x = first(tensor(1, D, H, W, I))
gamma, beta = leaf(2, I), leaf(3, I)
mean, var = torch.zeros(I).double(), torch.ones(I).double()
record("batch_norm", x, {"gamma": gamma, "beta": beta},
       F.batch_norm(x, mean, var, gamma, beta, training=True, momentum=0.1), 4)
out["batch_norm"].update(running_mean=mean.tolist(), running_var=var.tolist())

# Rounded, so that windows have several maxima.
x = first((tensor(1, D, H, W, I) * 2).round())
record("max_pool", x, {}, F.max_pool3d(x, 2), 4)

cases = []
for alpha, gamma in ((0.5, 0.2), (0.25, 2.0), (0.95, 1.0), (0.5, 0.0)):
    z = (tensor(1, 60) * 12).requires_grad_()
    t = (tensor(2, 60) > 0.4).double()
    p = torch.sigmoid(z)
    ce = F.binary_cross_entropy_with_logits(z, t, reduction="none")
    p_t = p * t + (1 - p) * (1 - t)
    loss = ((alpha * t + (1 - alpha) * (1 - t)) * (1 - p_t) ** gamma * ce).mean()
    loss.backward()
    cases.append({"alpha": alpha, "gamma": gamma, "loss": loss.item(), "d_logit": z.grad.tolist()})
out["focal_loss"] = cases

p = leaf(1, 20)
adam = torch.optim.Adam([p], lr=1e-2)
for step in range(5):
    p.grad = tensor(10 + step, 20)
    adam.step()
out["adam"] = {"parameter": p.tolist()}

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nn_layers.json")
with open(path, "w") as f:
    json.dump(json.loads(json.dumps(out), parse_float=lambda s: float("%.9g" % float(s))), f,
              separators=(",", ":"))
    f.write("\n")
