#!/usr/bin/env python3
"""What PyTorch makes of pictures by the Inception-v3 network of FID, with a sixteenth of its channels and the parameter
names of torchvision's inception_v3: writes inception.inc beside this script, the convolutions (name, outputs, inputs,
height, width) and the features of three pictures in colour and two grey ones.

FID's variant (pytorch-fid) leaves padding out of the means of average pools and has a maximum in the last block's
place of one. Weights, batch norms and pictures are not in the file: value() makes them from the name and the place of a
number, here and in tests/eval/test_inception.c. Written by PyTorch 2.15.0 on x86-64, in double precision."""

import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from hashed import number

SIDE = 107


def value(name, shape):
    """Single precision: kernels that keep what rectifiers halve, scales and variances about 1, the rest small."""
    x = number(name, shape)
    if len(shape) == 4:
        x = x * np.sqrt(6 / np.prod(shape[1:]))
    else:
        x = 1 + 0.2 * x if name.endswith(("weight", "var")) else 0.02 * x
    return x.float()


def average(x):
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def maximum(x):
    return F.max_pool2d(x, 3, stride=1, padding=1)


def step(x):
    return F.max_pool2d(x, 3, stride=2)


class Conv(nn.Module):
    def __init__(self, inputs, outputs, kernel, padding=0, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


def same(inputs, outputs, *kernel):
    kernel = kernel * 2 if len(kernel) == 1 else kernel
    return Conv(inputs, outputs, kernel, padding=(kernel[0] // 2, kernel[1] // 2))


class Block(nn.Module):
    """Makes the layers of a list of chains; `forward` of its kinds says how they hang together."""

    def __init__(self, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)


class A(Block):
    def __init__(self, i, pool):
        super().__init__(branch1x1=same(i, 4, 1), branch5x5_1=same(i, 3, 1), branch5x5_2=same(3, 4, 5),
                         branch3x3dbl_1=same(i, 4, 1), branch3x3dbl_2=same(4, 6, 3), branch3x3dbl_3=same(6, 6, 3),
                         branch_pool=same(i, pool, 1))

    def forward(self, x):
        return torch.cat([self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)),
                          self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
                          self.branch_pool(average(x))], 1)


class B(Block):
    def __init__(self, i):
        super().__init__(branch3x3=Conv(i, 24, 3, stride=2), branch3x3dbl_1=same(i, 4, 1),
                         branch3x3dbl_2=same(4, 6, 3), branch3x3dbl_3=Conv(6, 6, 3, stride=2))

    def forward(self, x):
        return torch.cat([self.branch3x3(x), self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
                          step(x)], 1)


class C(Block):
    def __init__(self, i, c):
        super().__init__(branch1x1=same(i, 12, 1), branch7x7_1=same(i, c, 1), branch7x7_2=same(c, c, 1, 7),
                         branch7x7_3=same(c, 12, 7, 1), branch7x7dbl_1=same(i, c, 1), branch7x7dbl_2=same(c, c, 7, 1),
                         branch7x7dbl_3=same(c, c, 1, 7), branch7x7dbl_4=same(c, c, 7, 1),
                         branch7x7dbl_5=same(c, 12, 1, 7), branch_pool=same(i, 12, 1))

    def forward(self, x):
        y = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        return torch.cat([self.branch1x1(x), self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x))),
                          self.branch7x7dbl_5(self.branch7x7dbl_4(y)), self.branch_pool(average(x))], 1)


class D(Block):
    def __init__(self, i):
        super().__init__(branch3x3_1=same(i, 12, 1), branch3x3_2=Conv(12, 20, 3, stride=2),
                         branch7x7x3_1=same(i, 12, 1), branch7x7x3_2=same(12, 12, 1, 7),
                         branch7x7x3_3=same(12, 12, 7, 1), branch7x7x3_4=Conv(12, 12, 3, stride=2))

    def forward(self, x):
        y = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), self.branch7x7x3_4(y), step(x)], 1)


class E(Block):
    def __init__(self, i, pool):
        super().__init__(branch1x1=same(i, 20, 1), branch3x3_1=same(i, 24, 1), branch3x3_2a=same(24, 24, 1, 3),
                         branch3x3_2b=same(24, 24, 3, 1), branch3x3dbl_1=same(i, 28, 1),
                         branch3x3dbl_2=same(28, 24, 3), branch3x3dbl_3a=same(24, 24, 1, 3),
                         branch3x3dbl_3b=same(24, 24, 3, 1), branch_pool=same(i, 12, 1))
        self.pool = pool

    def forward(self, x):
        y = self.branch3x3_1(x)
        z = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return torch.cat([self.branch1x1(x), self.branch3x3_2a(y), self.branch3x3_2b(y), self.branch3x3dbl_3a(z),
                          self.branch3x3dbl_3b(z), self.branch_pool(self.pool(x))], 1)


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 2, 3, stride=2)
        self.Conv2d_2a_3x3, self.Conv2d_2b_3x3 = Conv(2, 2, 3), same(2, 4, 3)
        self.Conv2d_3b_1x1, self.Conv2d_4a_3x3 = same(4, 5, 1), Conv(5, 12, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = A(12, 2), A(16, 4), A(18, 4)
        self.Mixed_6a, self.Mixed_6b, self.Mixed_6c = B(18), C(48, 8), C(48, 10)
        self.Mixed_6d, self.Mixed_6e, self.Mixed_7a = C(48, 10), C(48, 12), D(48)
        self.Mixed_7b, self.Mixed_7c = E(80, average), E(128, maximum)

    def forward(self, x):
        x = F.interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False)
        x = x.expand(-1, 3, -1, -1) / 127.5 - 1
        x = step(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = step(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"):
            x = getattr(self, "Mixed_" + name)(x)
        return x.mean((2, 3))


def pictures(name, n, height, width, channels):
    """Bytes (n, channels, height, width): squares of 8 pixels, from an array (n, height / 8, width / 8, channels)."""
    x = number(name, (n, -(-height // 8), -(-width // 8), channels)).repeat_interleave(8, 1).repeat_interleave(8, 2)
    return torch.floor(x[:, :height, :width] * 128 + 128).permute(0, 3, 1, 2)


net = Inception().double().eval()
state = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
net.load_state_dict({k: value(k, tuple(v.shape)).double() for k, v in state.items()}, strict=False)
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "inception.inc"), "w") as out, torch.no_grad():
    out.write("/* Made by inception.py. */\nstatic const golden_conv golden_convs[] = {\n")
    for k, v in state.items():
        if k.endswith(".conv.weight"):
            out.write('    {"%s", {%d, %d, %d, %d}},\n' % (k[: -len(".conv.weight")], *v.shape))
    out.write("};\n")
    for name, n, *shape in (("colour", 3, 40, 30, 3), ("grey", 2, 130, 28, 1)):
        features = net(pictures(name, n, *shape))
        print(name, tuple(features.shape), float(features.mean()), float(features.std()), int((features == 0).sum()))
        out.write(f"static const double golden_{name}[] = {{\n")
        for v in features.flatten().tolist():
            out.write(f"    {v:.9g},\n")
        out.write("};\n")
