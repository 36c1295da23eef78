"""Layers and networks of src/nn/graph.h against PyTorch in float64 -> nn_graph.json
(tests/nn/test_graph.c). Run: /usr/bin/python3 tests/oracle/nn_graph.py"""
import json
import os
import torch
import torch.nn.functional as F
from nn_numbers import numbers

STEP = 7  # every so many values are kept


def tensor(stream, *shape):
    n = 1
    for s in shape:
        n *= s
    return torch.from_numpy(numbers(stream, n)).double().reshape(shape)


def first(x):  # channels-last [D][H][W][C] -> [1][C][D][H][W]
    return x.permute(3, 0, 1, 2).unsqueeze(0).contiguous().requires_grad_()


def last(x):
    return x.detach()[0].permute(1, 2, 3, 0).reshape(-1).tolist()


out = {"convolution": []}

# Extent, channels, kernel, stride, padding: slices halved, a patch layer, a volume, a single tap.
for extent, inputs, outputs, kernel, stride, pad in (
        ((3, 8, 6), 2, 5, (1, 4, 4), (1, 2, 2), (0, 1, 1)),
        ((2, 7, 5), 3, 4, (1, 4, 4), (1, 1, 1), (0, 1, 1)),
        ((4, 5, 6), 16, 32, (3, 3, 3), (1, 1, 1), (1, 1, 1)),
        ((4, 6, 2), 3, 7, (2, 2, 2), (2, 2, 2), (0, 0, 0)),
        ((3, 4, 5), 4, 1, (1, 1, 1), (1, 1, 1), (0, 0, 0)),
        ((5, 7, 9), 1, 2, (3, 2, 4), (2, 3, 1), (1, 0, 2))):
    x = first(tensor(1, *extent, inputs))
    w = tensor(2, outputs, inputs, *kernel).requires_grad_()
    y = F.conv3d(x, w, stride=stride, padding=pad)
    y.backward(first(tensor(3, *y.shape[2:], outputs)).detach())
    out["convolution"].append({
        "extent": extent, "inputs": inputs, "outputs": outputs, "kernel": kernel,
        "stride": stride, "pad": pad, "y": last(y)[::STEP], "d_x": last(x.grad)[::STEP],
        "d_weight": w.grad.reshape(-1).tolist()[::STEP]})

x = (tensor(1, 30) * 3).requires_grad_()
d_y = tensor(2, 30)
for name, y in (("leaky_relu", F.leaky_relu(x, 0.2)), ("tanh", torch.tanh(x))):
    x.grad = None
    y.backward(d_y)
    out[name] = {"y": y.tolist(), "d_x": x.grad.tolist()}

z = (tensor(1, 50) * 8).requires_grad_()
t = (tensor(2, 50) > 0.4).double()
p = torch.sigmoid(z)
for name, loss in (("bce_real", F.binary_cross_entropy_with_logits(z, torch.ones(50).double())),
                   ("bce_made", F.binary_cross_entropy_with_logits(z, torch.zeros(50).double())),
                   ("l1", F.l1_loss(z, t)),
                   ("dice", 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1))):
    z.grad = None
    loss.backward(retain_graph=True)
    out[name] = {"loss": loss.item(), "d": z.grad.tolist()}


class Parameters:
    """Tensors in the order of the file, each of numbers(stream 10 + its place)."""

    def __init__(self):
        self.all = []

    def take(self, scale, shift, *shape):
        value = tensor(10 + len(self.all), *shape) * scale + shift
        self.all.append(value.requires_grad_())
        return self.all[-1]

    def skip(self, count):  # running statistics
        self.all += [None] * count


def layer(q, x, outputs, kernel, stride, pad, norm, act, transposed=False):
    inputs = x.shape[1]
    shape = (inputs, outputs) if transposed else (outputs, inputs)
    scale = (inputs * kernel[0] * kernel[1] * kernel[2]) ** -0.5
    w, b = q.take(scale, 0, *shape, *kernel), q.take(scale, 0, outputs)
    conv = F.conv_transpose3d if transposed else F.conv3d
    x = conv(x, w, b, stride=stride, padding=pad)
    if norm:
        gamma, beta = q.take(0.5, 1, outputs), q.take(0.5, 0, outputs)
        q.skip(2)
        x = F.batch_norm(x, None, None, gamma, beta, training=True)
    return act(x)


def unet(q, x):
    k3, k2, k1 = ((3,) * 3, 1, 1), ((2,) * 3, 2, 0), ((1,) * 3, 1, 0)

    def block(x, channels):
        x = layer(q, x, channels, *k3, True, F.relu)
        return layer(q, x, channels, *k3, True, F.relu)
    a = block(x, 8)
    b = block(F.max_pool3d(a, 2), 16)
    c = block(F.max_pool3d(b, 2), 32)
    c = layer(q, c, 16, *k2, False, lambda v: v, True)
    c = block(torch.cat([c, b], 1), 16)
    c = layer(q, c, 8, *k2, False, lambda v: v, True)
    c = block(torch.cat([c, a], 1), 8)
    return layer(q, c, 1, *k1, False, lambda v: v)


def discriminator(q, x):
    half, same = ((1, 4, 4), (1, 2, 2), (0, 1, 1)), ((1, 4, 4), (1, 1, 1), (0, 1, 1))

    def leaky(v):
        return F.leaky_relu(v, 0.2)
    x = layer(q, x, 16, *half, False, leaky)
    x = layer(q, x, 32, *half, True, leaky)
    x = layer(q, x, 64, *same, True, leaky)
    return layer(q, x, 1, *same, False, lambda v: v)


def generator(q, x):  # without dropout
    half = ((1, 4, 4), (1, 2, 2), (0, 1, 1))

    def leaky(v):
        return F.leaky_relu(v, 0.2)
    skip = []
    for channels, norm in ((16, False), (32, True), (64, True), (128, True), (128, True)):
        x = layer(q, x, channels, *half, norm, leaky)
        skip.append(x)
    x = layer(q, x, 128, *half, False, F.relu)
    for channels in (128, 128, 64, 32, 16):
        x = layer(q, x, channels, *half, True, F.relu, True)
        x = torch.cat([x, skip.pop()], 1)
    return layer(q, x, 1, *half, False, torch.tanh, True)


for name, network, extent, inputs in (("unet", unet, (8, 4, 12), 1),
                                      ("slice-discriminator", discriminator, (3, 24, 16), 3),
                                      ("slice-generator", generator, (2, 64, 64), 2)):
    q = Parameters()
    x = first(tensor(1, *extent, inputs))
    y = network(q, x)
    y.backward(first(tensor(2, *y.shape[2:], 1)).detach())
    # One number for each tensor is enough: its gradient along a direction.
    along = [None if p is None else (p.grad * tensor(3, *p.shape)).sum().item() for p in q.all]
    size = [None if p is None else p.grad.norm().item() for p in q.all]
    out[name] = {"y": last(y)[::STEP], "d_x": last(x.grad)[::STEP], "along": along, "size": size}

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nn_graph.json")
with open(path, "w") as f:
    json.dump(json.loads(json.dumps(out), parse_float=lambda s: float("%.9g" % float(s))), f,
              separators=(",", ":"))
    f.write("\n")
