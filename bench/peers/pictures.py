"""Fashion-MNIST (or its kin) by PyTorch, for comparison with `thalweg train --network unet` or `patch_unet`.

    python pictures.py train DATA_FOLDER SAMPLES.npy --images 600000     # samples for: thalweg eval RUN --samples SAMPLES.npy
    python pictures.py bits MODEL.safetensors DATA_FOLDER --rows 100     # compare: thalweg score RUN --solver midpoint ...

`train` is what ours does by default - straight paths, velocities, AdamW with warm-up and cosine, clipped gradients,
averaged weights, a tenth of the pictures told nothing - for a given number of pictures. `bits` evaluates a model of ours:
bits per dimension of test pictures with noise in [-1/2,1/2), Hutchinson's estimate of the divergence, the midpoint rule.
"""

import argparse
import gzip
import json
import math
import pathlib
import struct
import time

import numpy as np
import torch

from patch_unet import PatchUNet
from unet import UNet

CLASSES, LOG2 = 10, math.log(2)


def read_idx(folder, name):
    for path in (pathlib.Path(folder) / (name + ".gz"), pathlib.Path(folder) / name):
        if path.exists():
            data = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
            rank = data[3]
            shape = struct.unpack(">%dI" % rank, data[4 : 4 + 4 * rank])
            return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)
    raise SystemExit("no %s in %s" % (name, folder))


def read_part(folder, part):
    images, labels = read_idx(folder, part + "-images-idx3-ubyte"), read_idx(folder, part + "-labels-idx1-ubyte")
    x = (torch.from_numpy(images.astype(np.float32)) - 127.5) / 127.5
    return x[:, None], torch.nn.functional.one_hot(torch.from_numpy(labels.astype(np.int64)), CLASSES).float()


# --- training ---------------------------------------------------------------------------------------------------------


def rate_at(step, steps, peak):
    warm = min(1, (step + 1) / max(1, min(steps // 20, 500)))
    return peak * warm * 0.5 * (1 + math.cos(math.pi * step / steps))


def fit(net, x, told, args):
    decayed = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=args.lr, fused=True)
    steps, begun = args.images // args.batch, time.time()
    values = list(net.parameters())  # neither network has buffers
    average = [v.detach().clone() for v in values]
    for step in range(steps):
        index = torch.randint(len(x), (args.batch,), device=x.device)
        x1, x0, t = x[index], torch.randn_like(x[: args.batch]), torch.rand(args.batch, device=x.device)
        seen = told[index] * (torch.rand(args.batch, 1, device=x.device) > 0.1)
        at = t[:, None, None, None]
        loss = (net(t, (1 - at) * x0 + at * x1, seen) - (x1 - x0)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, steps, args.lr)
        optimiser.step()
        decay = min(0.999, (step + 1) / (step + 10))
        torch._foreach_lerp_(average, [v.detach() for v in values], 1 - decay)
        if step % 100 == 0:
            print("step %d of %d, loss %.4f, %.0f s" % (step, steps, loss.item(), time.time() - begun), flush=True)
    with torch.no_grad():
        for value, kept in zip(values, average):
            value.copy_(kept)


@torch.no_grad()
def sample(net, told, steps, size):
    """The midpoint rule, as --solver midpoint."""
    out = []
    for labels in told.split(250):
        x, h = torch.randn(len(labels), *size, device=labels.device), 1 / steps
        for k in range(steps):
            t = torch.full((len(labels),), k * h, device=labels.device)
            x = x + h * net(t + h / 2, x + h / 2 * net(t, x, labels), labels)
        out.append(x)
    return ((torch.cat(out) * 127.5 + 127.5).clamp(0, 255) + 0.5).to(torch.uint8)


def train(args):
    torch.manual_seed(args.seed)
    x, told = (v.to(args.device) for v in read_part(args.data, "train"))
    if args.network == "patch_unet":
        net = PatchUNet(x.shape[1], classes=CLASSES).to(memory_format=torch.channels_last)
    else:
        net = UNet(x.shape[1], 32, (1, 2, 2), 1, (2,), classes=CLASSES)
    net = net.to(args.device)
    print("%d parameters" % sum(p.numel() for p in net.parameters()))
    fit(net, x, told, args)
    _, labels = read_part(args.data, "t10k")  # sample i is of the class of test picture i
    pictures = sample(net, labels[: args.samples].to(args.device), args.steps, x.shape[1:])
    np.save(args.out, pictures.permute(0, 2, 3, 1).reshape(len(pictures), -1).cpu().numpy())


# --- bits per dimension -----------------------------------------------------------------------------------------------


def load_ours(path):
    """Our model file in PyTorch's UNet: (in, out) and (height, width, in, out) become (out, in, ...)."""
    data = pathlib.Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    about = header.pop("__metadata__")
    height, width, channels = json.loads(about["image"])
    mult = tuple(int(m) for m in about["network.mult"].split(","))
    attention = [int(a) for a in about["network.attention"].split(",")]
    attended = tuple(level for level in range(len(mult)) if height >> level in attention)
    net = UNet(channels, int(about["network.width"]), mult, int(about["network.blocks"]), attended,
               int(about["network.heads"]), int(about["network.head_channels"]), classes=CLASSES)
    state = {}
    for name, tensor in header.items():
        if not name.startswith("network."):
            continue
        first, last = (8 + length + o for o in tensor["data_offsets"])
        value = torch.from_numpy(np.frombuffer(data[first:last], np.float32).reshape(tensor["shape"]).copy())
        name = name[len("network.") :]
        if value.dim() == 4:
            value = value.permute(3, 2, 0, 1)
        elif value.dim() == 2 and name != "label_emb.weight":
            value = value.T
        state[name] = value
    for name, parameter in net.state_dict().items():  # attention's linear layers are convolutions of one pixel there
        state[name] = state[name].reshape(parameter.shape).contiguous()
    net.load_state_dict(state)
    return net.eval()


def log_density(net, x, told, steps):
    """log p_1 in units of x, by the midpoint rule from t = 1 back to 0; one sign vector a row for the whole way."""
    signs, h, integral = torch.randint(0, 2, x.shape).float() * 2 - 1, 1 / steps, 0

    def field(t, x):
        x = x.detach().requires_grad_(True)
        u = net(torch.full((len(x),), t), x, told)
        pulled = torch.autograd.grad((u * signs).sum(), x)[0]
        return u.detach(), (pulled * signs).flatten(1).sum(1)

    for k in range(steps):
        t = 1 - k * h
        u, _ = field(t, x)
        u, divergence = field(t - h / 2, x - h / 2 * u)
        x, integral = x - h * u, integral + h * divergence
    source = -0.5 * (x.square() + math.log(2 * math.pi)).flatten(1).sum(1)
    return source - integral


def bits(args):
    torch.manual_seed(args.seed)
    net = load_ours(args.model)
    x, told = read_part(args.data, "t10k")
    x, told = x[: args.rows], told[: args.rows]
    numbers, rows = x[0].numel(), 0
    for _ in range(args.draws):
        noisy = x + (torch.rand_like(x) - 0.5) / 127.5
        density = torch.cat([log_density(net, a, b, args.steps) for a, b in zip(noisy.split(50), told.split(50))])
        rows = rows - (density - numbers * math.log(127.5)) / numbers / LOG2 / args.draws
    print(json.dumps({"bits_per_dim": rows.mean().item(), "bits_per_dim_error": (rows.std() / len(rows) ** 0.5).item(),
                      "n": len(rows), "draws": args.draws, "steps": args.steps}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    t = commands.add_parser("train")
    t.add_argument("data")
    t.add_argument("out")
    t.add_argument("--network", choices=["unet", "patch_unet"], default="unet")
    t.add_argument("--images", type=int, default=600000)
    t.add_argument("--batch", type=int, default=128)
    t.add_argument("--lr", type=float, default=0.003)
    t.add_argument("--samples", type=int, default=2000)
    t.add_argument("--steps", type=int, default=25)
    t.add_argument("--device", default="cpu")
    b = commands.add_parser("bits")
    b.add_argument("model")
    b.add_argument("data")
    b.add_argument("--rows", type=int, default=100)
    b.add_argument("--draws", type=int, default=5)
    b.add_argument("--steps", type=int, default=25)
    for p in (t, b):
        p.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    train(args) if args.command == "train" else bits(args)


if __name__ == "__main__":
    main()
