"""The peer of nn_step: the same network, loss and data in PyTorch.

  /usr/bin/python3 bench/nn_step.py SIZE [REPEATS] [THREADS]"""
import resource
import statistics
import sys
import time
import torch
import torch.nn as nn
import torch.nn.functional as F

size = int(sys.argv[1]) if len(sys.argv) > 1 else 64
repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 5
threads = int(sys.argv[3]) if len(sys.argv) > 3 else 2
torch.set_num_threads(threads)
torch.manual_seed(0)


def block(layer, outputs, *more):
    return [layer, nn.BatchNorm3d(outputs), nn.ReLU(), *more]


model = nn.Sequential(
    *block(nn.Conv3d(1, 32, 3, padding=1), 32, nn.MaxPool3d(2)),
    *block(nn.Conv3d(32, 64, 3, padding=1), 64, nn.MaxPool3d(2)),
    *block(nn.Conv3d(64, 128, 3, padding=1), 128, nn.MaxPool3d(2)),
    *block(nn.ConvTranspose3d(128, 64, 2, stride=2), 64),
    *block(nn.ConvTranspose3d(64, 32, 2, stride=2), 32),
    nn.ConvTranspose3d(32, 1, 2, stride=2))


def focal(z, t, alpha=0.5, gamma=0.2):
    p = torch.sigmoid(z)
    ce = F.binary_cross_entropy_with_logits(z, t, reduction="none")
    p_t = p * t + (1 - p) * (1 - t)
    return ((alpha * t + (1 - alpha) * (1 - t)) * (1 - p_t) ** gamma * ce).mean()


def seconds():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), u.ru_utime + u.ru_stime


x = torch.rand(1, 1, size, size, size)
target = (torch.rand(1, 1, size, size, size) < 0.003).float()
adam = torch.optim.Adam(model.parameters(), lr=1e-3)
forward, step = [], []
for r in range(-1, repeats):
    start = seconds()
    model.eval()
    with torch.no_grad():
        model(x)
    f = [b - a for a, b in zip(start, seconds())]
    start = seconds()
    model.train()
    adam.zero_grad(set_to_none=True)
    focal(model(x), target).backward()
    adam.step()
    s = [b - a for a, b in zip(start, seconds())]
    if r < 0:
        continue
    forward.append(f[0])
    step.append(s[0])
    print(f"torch {size}^3 forward {f[0]:.4f} s (cpu {f[1]:.4f}) step {s[0]:.4f} s (cpu {s[1]:.4f})",
          flush=True)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"torch {size}^3 median forward {statistics.median(forward):.4f} s "
      f"step {statistics.median(step):.4f} s, {threads} threads, peak memory {peak:.1f} MiB")
