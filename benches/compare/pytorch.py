"""The cases of `wgrad bench` in PyTorch, on the CPU or where DEVICE says (cuda, mps, xpu), as JSON lines with the same names.

    python benches/compare/pytorch.py > pytorch.jsonl
    cargo run --release -- bench --device cpu --baseline pytorch.jsonl

Arguments are parts of names: `pytorch.py step/ softmax`. Whole networks are measured only where an argument names them, as `smollm2-135m`,
`resnet50/inference` or `whisper`, and so are products of 4096x4096x4096. THREADS=2 sets the number of threads (all cores otherwise).
"""

import json
import os
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

import networks

if "THREADS" in os.environ:
    torch.set_num_threads(int(os.environ["THREADS"]))
ON = torch.device(os.environ.get("DEVICE", "cpu"))
torch.set_default_device(ON)
torch.manual_seed(0)

SAMPLE, TOTAL, LEAST = 0.01, 1.0, 7
READ_EVERY = 50
DEVICE = f"PyTorch {torch.__version__}, " + (f"{torch.get_num_threads()} threads" if ON.type == "cpu" else str(ON))


def uniform(*shape, low=-1.0, high=1.0):
    return torch.empty(*shape).uniform_(low, high)


def report(name, samples, flops=0):
    samples.sort()
    median = samples[len(samples) // 2]
    line = {"event": "case", "name": name, "device": DEVICE, "median_s": median, "min_s": samples[0],
            "max_s": samples[-1], "runs": len(samples), "clock": "wall"}
    if flops:
        line["gflops"] = flops / median * 1e-9
    print(json.dumps(line), flush=True)


def finish():
    """Waits for an accelerator, which works on while the host measures."""
    if ON.type != "cpu":
        getattr(torch, ON.type).synchronize()


def timed(work, repetitions):
    finish()
    start = time.perf_counter()
    for _ in range(repetitions):
        work()
    finish()
    return (time.perf_counter() - start) / repetitions


def measure(name, work, flops=0):
    """Medians of samples that are long enough to be measured."""
    timed(work, 3)
    repetitions = max(1, round(SAMPLE / max(timed(work, 3), 1e-7)))
    samples, begun = [], time.perf_counter()
    while len(samples) < LEAST or time.perf_counter() - begun < TOTAL:
        samples.append(timed(work, repetitions))
    report(name, samples, flops)


def measure_step(name, step):
    """A step gives its loss; it is read at the end of each block, or after each step."""
    for _ in range(20):
        step().item()
    block = max(2, min(READ_EVERY, int(2.0 / timed(step, 3))))

    def unsynced():
        for _ in range(block - 1):
            step()
        step().item()

    for suffix, work, steps in [("", unsynced, block), ("/synced", lambda: step().item(), 1)]:
        samples, begun = [], time.perf_counter()
        while len(samples) < LEAST or time.perf_counter() - begun < TOTAL:
            samples.append(timed(work, 1) / steps)
        report(name + suffix, samples)


def measure_network(name, step):
    """Blocks of about two seconds, as `wgrad bench` has them for slow steps."""
    for _ in range(3):
        step()
    block = max(2, min(READ_EVERY, int(2.0 / timed(step, 1))))
    samples, begun = [], time.perf_counter()
    while len(samples) < LEAST or time.perf_counter() - begun < TOTAL:
        samples.append(timed(step, block))
    report(name, samples)


def trainer(model, optimizer, loss, x, y):
    def step():
        optimizer.zero_grad(set_to_none=True)
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value

    return step


class Last(nn.Module):
    """The last step of a recurrent layer, into a linear one."""

    def __init__(self, layer, hidden, outputs):
        super().__init__()
        self.layer, self.fc = layer, nn.Linear(hidden, outputs)

    def forward(self, x):
        return self.fc(self.layer(x)[0][-1])


def steps():
    def mlp_tiny():
        model = nn.Sequential(nn.Linear(100, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1), nn.Sigmoid())
        x, y = torch.rand(32, 100), torch.rand(32, 1).round()
        return trainer(model, torch.optim.Adam(model.parameters(), 1e-3), F.binary_cross_entropy, x, y)

    def mlp():
        model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
        x, y = torch.rand(128, 784), torch.randint(10, (128,))
        return trainer(model, torch.optim.Adam(model.parameters(), 1e-3), F.cross_entropy, x, y)

    def cnn():
        model = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(4096, 128), nn.ReLU(), nn.Linear(128, 10))
        x, y = torch.rand(64, 3, 32, 32), torch.randint(10, (64,))
        return trainer(model, torch.optim.SGD(model.parameters(), 0.01, momentum=0.9), F.cross_entropy, x, y)

    def lstm():
        model = Last(nn.LSTM(100, 64, num_layers=2), 64, 1)
        x, y = torch.rand(50, 64, 100), torch.rand(64, 1).round()
        return trainer(model, torch.optim.Adam(model.parameters(), 1e-3), F.binary_cross_entropy_with_logits, x, y)

    def gru():
        model = Last(nn.GRU(128, 256), 256, 10)
        x, y = torch.rand(64, 32, 128), torch.randint(10, (32,))
        return trainer(model, torch.optim.Adam(model.parameters(), 1e-3), F.cross_entropy, x, y)

    def gpt():
        batch, steps, alphabet, width, heads, layers = 12, 64, 65, 128, 4, 4

        class Block(nn.Module):
            """nanoGPT's, with biases."""

            def __init__(self):
                super().__init__()
                self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
                self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
                self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

            def forward(self, x):
                q, k, v = (part.view(batch, steps, heads, -1).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, 2))
                mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
                x = x + self.out(mixed.transpose(1, 2).reshape(batch, steps, width))
                return x + self.down(F.gelu(self.up(self.norm2(x))))

        class Decoder(nn.Module):
            def __init__(self):
                super().__init__()
                self.letters, self.positions = nn.Embedding(alphabet, width), nn.Embedding(steps, width)
                self.blocks, self.norm = nn.Sequential(*[Block() for _ in range(layers)]), nn.LayerNorm(width)
                self.head = nn.Linear(width, alphabet, bias=False)

            def forward(self, x):
                x = self.letters(x) + self.positions.weight
                return self.head(self.norm(self.blocks(x))).view(batch * steps, alphabet)

        model = Decoder()
        x, y = (torch.randint(alphabet, (batch, steps)) for _ in range(2))
        return trainer(model, torch.optim.AdamW(model.parameters(), 1e-3), F.cross_entropy, x, y.view(-1))

    def word2vec():
        words, width, batch, negatives = 10_000, 100, 1024, 5
        # Sparse gradients, of which SGD writes the rows; whole ones are slower. Negatives are picked from a long list, as word2vec's code does.
        center, context = (nn.Embedding(words, width, sparse=True) for _ in range(2))
        weights = torch.arange(1, words + 1).double().reciprocal().pow(0.75)
        drawn = torch.multinomial(weights, 10_000_000, replacement=True)
        optimizer = torch.optim.SGD([*center.parameters(), *context.parameters()], 1e-3)
        pairs, target = torch.randint(words, (batch, 2)), F.one_hot(torch.zeros(batch).long(), 1 + negatives).float()

        def step():
            noise = drawn[torch.randint(drawn.numel(), (batch, negatives))]
            told = torch.cat([pairs[:, 1:], noise], 1)
            counts = (told != pairs[:, 1:]).float()
            counts[:, 0] = 1
            scores = (context(told) @ center(pairs[:, 0]).unsqueeze(2)).squeeze(2)
            value = F.binary_cross_entropy_with_logits(scores, target, counts, reduction="sum") / batch
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            return value

        return step

    return {"step/mlp-tiny": mlp_tiny, "step/mlp": mlp, "step/cnn": cnn, "step/lstm": lstm, "step/gru": gru,
            "step/gpt": gpt, "step/word2vec": word2vec}


def whole_networks():
    """Names with what makes a step of them: training by plain descent, the forward pass alone, or a token behind others in a cache."""
    length, images, words = 128, 4, 64

    def training(make, inputs, labels):
        def build():
            model = make().train()
            optimizer = torch.optim.SGD(model.parameters(), 1e-3)
            given, right = inputs(), labels()

            def step():
                optimizer.zero_grad(set_to_none=True)
                networks.loss(model(*given), right).backward()
                optimizer.step()

            return step
        return build

    def inference(make, inputs, call=lambda model, given: model(*given)):
        def build():
            model, given = make().eval(), inputs()

            def step():
                with torch.inference_mode():
                    return call(model, given)

            return step
        return build

    def tokens(vocabulary, count):
        return lambda: [torch.randint(vocabulary, (1, count))]

    def token(model, given):
        if not hasattr(model, "past"):
            model.past = model.caches(length)
        return model(*given, model.past, length - 1)

    pictures = lambda: [torch.rand(images, 3, 224, 224)]
    speech = lambda: [uniform(1, 80, 3000), torch.randint(51_865, (1, words))]
    return {
        "step/smollm2-135m": training(networks.Llama, tokens(49_152, length), lambda: torch.randint(49_152, (1, length))),
        "step/smollm2-135m/inference": inference(networks.Llama, tokens(49_152, length)),
        "step/smollm2-135m/token": inference(networks.Llama, tokens(49_152, 1), token),
        "step/resnet50": training(networks.ResNet, pictures, lambda: torch.randint(1000, (images,))),
        "step/resnet50/inference": inference(networks.ResNet, pictures),
        "step/whisper-tiny": training(networks.Whisper, speech, lambda: torch.randint(51_865, (1, words))),
        "step/whisper-tiny/inference": inference(networks.Whisper, speech),
    }


def names_network(name, argument):
    own, argument = name.removeprefix("step/"), argument.strip("/").removeprefix("step/")
    return bool(argument) and (own.startswith(argument) or f"/{argument}/" in f"/{own}/")


def kernels():
    """Names with what makes the work of them, and its floating-point operations where they are those of a product."""
    table = {}

    def product(m, k, n):
        a, b, out = uniform(m, k), uniform(k, n), torch.empty(m, n)
        return lambda: torch.matmul(a, b, out=out)

    for m, k, n in [(256,) * 3, (512,) * 3, (1024,) * 3, (2048,) * 3, (128, 784, 512), (1, 4096, 4096),
                    (4096, 4096, 1), (16384, 64, 64), (4096, 512, 10)]:
        table[f"matmul/f32/{m}x{k}x{n}"] = (lambda s=(m, k, n): product(*s), 2 * m * k * n)

    def transposed(m, k, n):
        a, b = uniform(k, m), uniform(k, n)
        return lambda: a.T @ b

    for m, k, n in [(784, 128, 512), (256, 16384, 64)]:
        table[f"matmul/f32/{m}x{k}x{n}/tn"] = (lambda s=(m, k, n): transposed(*s), 2 * m * k * n)

    def layer(m, k, n):
        a, b, out = uniform(m, k), uniform(n, k), torch.empty(m, n)
        return lambda: torch.matmul(a, b.T, out=out)

    for m, k, n in [(768, 128, 512), (128, 576, 1536)]:
        table[f"matmul/f32/{m}x{k}x{n}/nt"] = (lambda s=(m, k, n): layer(*s), 2 * m * k * n)

    def batched(batch, m, k, n):
        a, b = uniform(batch, m, k), uniform(batch, k, n)
        return lambda: a @ b

    for batch, m, k, n in [(64, 128, 64, 128), (512, 32, 32, 32)]:
        table[f"matmul/f32/batch{batch}/{m}x{k}x{n}"] = (lambda s=(batch, m, k, n): batched(*s), 2 * batch * m * k * n)

    def convolution(shape, k, r, groups, direction):
        n, c, h, w = shape
        x, weight, upstream = uniform(*shape), uniform(k, c // groups, r, r), uniform(n, k, h, w)
        mask = [direction == "input_gradient", direction == "weight_gradient", False]
        if direction == "forward":
            return lambda: F.conv2d(x, weight, padding=r // 2, groups=groups)
        return lambda: torch.ops.aten.convolution_backward(
            upstream, x, weight, None, [1, 1], [r // 2] * 2, [1, 1], False, [0, 0], groups, mask)

    for shape, k, r, groups in [((8, 64, 56, 56), 64, 3, 1), ((8, 256, 14, 14), 256, 3, 1),
                                ((8, 256, 28, 28), 64, 1, 1), ((8, 128, 28, 28), 128, 3, 128)]:
        n, c, h, w = shape
        grouped = f"g{groups}" if groups > 1 else ""
        for direction in ["forward", "input_gradient", "weight_gradient"]:
            table[f"conv2d/f32/n{n}c{c}h{h}w{w}k{k}r{r}{grouped}/{direction}"] = (
                lambda s=(shape, k, r, groups, direction): convolution(*s), 2 * n * k * h * w * (c // groups) * r * r)

    def on(shape, work):
        def make():
            x = uniform(*shape)
            return lambda: work(x)
        return make

    def both(shape, work):
        """Forward and backward, with an upstream gradient."""
        def make():
            x = uniform(*shape).requires_grad_()
            upstream = uniform(*work(x).shape)

            def run():
                x.grad = None
                work(x).backward(upstream)
            return run
        return make

    long, rows, square, images = (16 << 20,), (4096, 1024), (4096, 4096), (16, 64, 56, 56)
    gain, bias = torch.ones(1024, requires_grad=True), torch.zeros(1024, requires_grad=True)
    scale, shift = torch.ones(64, requires_grad=True), torch.zeros(64, requires_grad=True)
    other, labels = uniform(*long), torch.randint(1024, (4096,))
    picked, table_weight = torch.randint(10_000, (8192,)), uniform(10_000, 128)

    def cross_entropy():
        x = uniform(*rows).requires_grad_()

        def run():
            x.grad = None
            F.cross_entropy(x, labels).backward()
        return run

    def norm(x):
        return F.layer_norm(x, (1024,), gain, bias)

    table |= {
        "max_pool2d/f32/n16c64h56w56r2/forward": (on(images, lambda x: F.max_pool2d(x, 2)), 0),
        "max_pool2d/f32/n16c64h56w56r2/forward_backward": (both(images, lambda x: F.max_pool2d(x, 2)), 0),
        "batch_norm/f32/n16c64h56w56/forward_backward":
            (both(images, lambda x: F.batch_norm(x, None, None, scale, shift, True)), 0),
        "sum/f32/16M": (on(long, torch.sum), 0),
        "sum/f32/4096x4096/rows": (on(square, lambda x: x.sum(1)), 0),
        "sum/f32/4096x4096/columns": (on(square, lambda x: x.sum(0)), 0),
        "softmax/f32/4096x1024": (on(rows, lambda x: x.softmax(-1)), 0),
        "softmax/f32/4096x1024/forward_backward": (both(rows, lambda x: x.softmax(-1)), 0),
        "cross_entropy/f32/4096x1024/forward_backward": (cross_entropy, 0),
        "layer_norm/f32/4096x1024": (on(rows, lambda x: norm(x).detach()), 0),
        "layer_norm/f32/4096x1024/forward_backward": (both(rows, norm), 0),
        "cumulative_sum/f32/4096x1024": (on(rows, lambda x: x.cumsum(-1)), 0),
        "sort/f32/1024x1024": (on((1024, 1024), lambda x: x.sort(-1)), 0),
        "top_k/f32/256x4096k8": (on((256, 4096), lambda x: x.topk(8)), 0),
        "add_relu/f32/16M": (on(long, lambda x: (x + other).relu_()), 0),
        "gelu/f32/16M": (on(long, F.gelu), 0),
        "dropout/f32/16M": (on(long, lambda x: F.dropout(x, 0.1)), 0),
        "transpose/f32/4096x4096": (on(square, lambda x: x.T.contiguous()), 0),
        "embedding/f32/10000x128n8192/forward": (lambda: lambda: F.embedding(picked, table_weight), 0),
    }
    return table


def large():
    """Products that take a CPU seconds, in f32 and, as tensor cores take them, in f16."""
    def product(dtype):
        a, b = uniform(4096, 4096).to(dtype), uniform(4096, 4096).to(dtype)
        return lambda: a @ b

    return {f"matmul/{name}/4096x4096x4096": lambda dtype=dtype: product(dtype)
            for name, dtype in [("f32", torch.float32), ("f16", torch.float16)]}


def main():
    wanted = sys.argv[1:] or [""]
    chosen = lambda name: any(part in name for part in wanted)
    for name, (make, flops) in kernels().items():
        if chosen(name):
            measure(name, make(), flops)
    for name, make in large().items():
        if name in sys.argv[1:]:
            measure(name, make(), 2 * 4096**3)
    for name, make in steps().items():
        if chosen(name) or chosen(name + "/synced"):
            measure_step(name, make())
    for name, make in whole_networks().items():
        if any(names_network(name, argument) for argument in sys.argv[1:]):
            measure_network(name, make())


if __name__ == "__main__":
    main()
