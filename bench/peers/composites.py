"""What bench/composites.c measures, in PyTorch: python bench/peers/composites.py. Lower quartiles of 41, one thread."""

import time

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
REPEATS = 41


def quartile(run):
    for _ in range(3):
        run()
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return sorted(times)[REPEATS // 4] * 1e6


def measure(name, f, *inputs):
    with torch.no_grad():
        forward = quartile(lambda: f(*inputs))
    real = [x for x in inputs if x.is_floating_point()]
    for x in real:
        x.requires_grad_()
    w = torch.randn_like(f(*inputs))
    both = quartile(lambda: torch.autograd.grad(f(*inputs), real, w))
    print(f"{name:<24} {forward:10.1f} {both:10.1f}")


def rows(count, width):
    x = torch.randn(count, width)
    measure(f"softmax {count}x{width}", lambda x: F.softmax(x, -1), x.clone())
    measure(f"layernorm {count}x{width}", lambda x, s, b: F.layer_norm(x, (width,), s, b), x.clone(),
            torch.randn(width), torch.randn(width))
    measure(f"cross-entropy {count}x{width}", lambda x, t: F.cross_entropy(x, t, reduction="none"), x.clone(),
            torch.randint(0, 100, (count,)))
    measure(f"gelu {count}x{width}", F.gelu, x.clone())


def images(count, side, channels, groups):
    x = torch.randn(count, channels, side, side)
    f = lambda x, s, b: F.silu(F.group_norm(x, groups, s, b))
    name = f"{count}x{side}x{side}x{channels}"
    measure(f"groupnorm+silu {name}", f, x.clone(), torch.randn(channels), torch.randn(channels))
    measure("  channels last", f, x.clone(memory_format=torch.channels_last), torch.randn(channels),
            torch.randn(channels))


print(f"{'torch ' + torch.__version__:<24} {'forward':>10} {'both':>10}  us")
images(8, 28, 32, 32)
images(8, 14, 64, 32)
rows(1024, 256)
rows(1024, 784)
rows(1024, 1024)
