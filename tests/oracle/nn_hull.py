"""The network "hull" (src/nn/hull_net.c) on a small lattice in PyTorch, float64: dense convolutions
whose outputs are masked, softmaxes along rays -> nn_hull.json (tests/nn/test_hull_net.c).
Run: /usr/bin/python3 tests/oracle/nn_hull.py"""
import json
import os
import torch
import torch.nn.functional as F
from nn_numbers import numbers

SIZE = (7, 6, 5)  # x, y, z
VIEWS, PITCH, DOWN, BIDS, HIDDEN, SEEN, ABOUT, VOXEL = 3, 5, 4, 8, 24, 7, 3, 12
WIDTH = (24, 48, 72, 96)
X, Y, Z = SIZE


def tensor(stream, *shape):
    n = 1
    for s in shape:
        n *= s
    return torch.from_numpy(numbers(stream, n)).double().reshape(shape)


present = tensor(1, Z, Y, X) > 0.2
rows = int(present.sum())
masks = [present[None, None].double()]
for _ in range(3):
    m = masks[-1]
    m = F.pad(m, [v for s in reversed(m.shape[2:]) for v in (0, s % 2)])
    masks.append(F.max_pool3d(m, 2))
voxel = tensor(2, rows, VOXEL)
seen = tensor(3, VIEWS, rows, SEEN)
about = tensor(4, VIEWS, ABOUT)
draw = tensor(5, VIEWS, rows)
on = draw >= -0.8
column = ((draw + 1) / 2 * (PITCH - 1)).long().clamp(max=PITCH - 2)
line = ((tensor(7, VIEWS, rows) + 1) / 2 * (DOWN - 1)).long().clamp(max=DOWN - 2)
across, down = tensor(8, VIEWS, rows).clamp(min=0), tensor(9, VIEWS, rows).clamp(min=0)
# [views][rows][rays]: linear weights of the four rays around a place.
weight = torch.zeros(VIEWS, rows, PITCH * DOWN).double()
for dx, wx in ((0, 1 - across), (1, across)):
    for dy, wy in ((0, 1 - down), (1, down)):
        weight.scatter_add_(2, ((line + dy) * PITCH + column + dx)[:, :, None],
                            (wx * wy * on)[:, :, None])
target = (tensor(6, rows) > 0.3).double()
MISSED = 3

parameters = []


def parameter(*shape, gain=False):
    value = tensor(100 + len(parameters), *shape) * 0.3 + (1 if gain else 0)
    # As float32 holds it.
    parameters.append(value.float().double().requires_grad_())
    return parameters[-1]


def norm(x, dim):
    c = x.shape[dim]
    gain = parameter(c, gain=True)
    shape = [1] * x.dim()
    shape[dim] = c
    return x / torch.sqrt((x * x).mean(dim, keepdim=True) + 1e-5) * gain.reshape(shape)


def to_rows(x):  # [1][C][Z][Y][X] -> [rows][C]
    return x[0].permute(1, 2, 3, 0)[present]


def to_dense(h):
    x = torch.zeros(Z, Y, X, h.shape[1], dtype=torch.float64)
    x[present] = h
    return x.permute(3, 0, 1, 2)[None]


def exchange(x):
    h = to_rows(x)
    c = h.shape[1]
    n = norm(h, 1)
    w, b = parameter(BIDS + HIDDEN, c), parameter(BIDS + HIDDEN)
    point = n @ w.T + b
    bid, own = point[:, :BIDS], point[:, BIDS:]
    wv = parameter(HIDDEN, BIDS + SEEN + ABOUT)
    answers, shown = [], []
    for v in range(VIEWS):
        among = weight[v] @ (weight[v].T @ torch.exp(bid))
        full = torch.where(on[v][:, None], torch.log(torch.where(among > 0, among, 1.0)) - bid, 0.0)
        inputs = torch.cat([full, seen[v], about[v].expand(rows, -1)], 1)
        answers.append(torch.relu(inputs @ wv.T + own) * on[v][:, None])
        shown.append(on[v].double())
    count = sum(shown).clamp(min=1)[:, None]
    pooled = torch.cat([sum(answers) / count, torch.stack(answers).amax(0)], 1)
    w, b = parameter(c, 2 * HIDDEN), parameter(c)
    return to_dense(h + pooled @ w.T + b)


def block(x, level):
    c, m = x.shape[1], masks[level]
    n = norm(x, 1) * m
    w, b = parameter(c, c, 3, 3, 3), parameter(c)
    y = torch.relu(F.conv3d(n, w, b, padding=1)) * m
    w, b = parameter(c, c, 3, 3, 3), parameter(c)
    return x + F.conv3d(y, w, b, padding=1) * m


def down(x, level):
    x = F.pad(x, [v for s in reversed(x.shape[2:]) for v in (0, s % 2)])
    w, b = parameter(WIDTH[level], WIDTH[level - 1], 2, 2, 2), parameter(WIDTH[level])
    return F.conv3d(x, w, b, stride=2) * masks[level]


def up(x, skip, level):
    w, b = parameter(WIDTH[level + 1], WIDTH[level], 2, 2, 2), parameter(WIDTH[level])
    y = F.conv_transpose3d(x, w, b, stride=2)
    return skip + y[:, :, :skip.shape[2], :skip.shape[3], :skip.shape[4]] * masks[level]


w, b = parameter(WIDTH[0], VOXEL), parameter(WIDTH[0])
h = to_dense(voxel @ w.T + b)
h = block(exchange(h), 0)
h = block(exchange(h), 0)
skips = [h]
for level in (1, 2, 3):
    h = block(down(h, level), level)
    skips.append(h)
for level in (2, 1, 0):
    h = block(up(h, skips[level], level), level)
h = block(exchange(h), 0)
n = norm(to_rows(h), 1)
w, b = parameter(1, WIDTH[0]), parameter(1)
logit = (n @ w.T + b)[:, 0]

p = torch.sigmoid(logit)
both = (p * target).sum()
either = p.sum() + target.sum() + MISSED - both
loss = F.binary_cross_entropy_with_logits(logit, target) + 1 - (both + 1) / (either + 1)
logit.retain_grad()
loss.backward()

out = {"rows": rows, "logit": logit.tolist(), "loss": loss.item(), "d_logit": logit.grad.tolist(),
       "count": [q.numel() for q in parameters],
       "gradient_norm": [q.grad.norm().item() for q in parameters],
       "gradient_dot": [(q.grad.reshape(-1) * tensor(500 + i, q.numel())).sum().item()
                        for i, q in enumerate(parameters)]}
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nn_hull.json")
with open(path, "w") as f:
    json.dump(json.loads(json.dumps(out), parse_float=lambda s: float("%.9g" % float(s))), f,
              separators=(",", ":"))
    f.write("\n")
