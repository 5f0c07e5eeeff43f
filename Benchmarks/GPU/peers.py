#!/usr/bin/env python3
"""PyTorch beside us on this machine's GPU: the same models in fp16, device time per batch, back to back, as CSV, each line as soon as it is known.

    Benchmarks/GPU/peers.py [--seconds 0.15] [--modes eager,graph,compile] [--models linear,stacked,seqlen,bert-base,minilm,copy]

`graph` is a CUDA graph of the eager kernels, `compile` torch.compile(mode="max-autotune") replayed as a graph. `copy` copies the bytes that LayerNorm
of 32,768 x 1,024 reads and writes. What fails is said and does not end the rest; the exit status is then 1. Needs torch with CUDA.
"""
import argparse
import statistics
import sys

from torch_graph import captured

HEADS = [1, 8, 32, 64, 128, 256]


def models(torch):
    nn, functional = torch.nn, torch.nn.functional

    def linear(layers=20, hidden=1024):
        parts = []
        for _ in range(layers):
            parts += [nn.Linear(hidden, hidden), nn.ReLU()]
        return nn.Sequential(*parts, nn.Linear(hidden, 2))

    class Stacked(nn.Module):
        """Heads as batched products: [heads, rows, hidden] x [heads, hidden, hidden]."""

        def __init__(self, layers=20, hidden=1024, heads=5):
            super().__init__()
            self.weights = nn.ParameterList([nn.Parameter(torch.randn(heads, hidden, hidden) / hidden**0.5) for _ in range(layers)])
            self.biases = nn.ParameterList([nn.Parameter(torch.zeros(heads, 1, hidden)) for _ in range(layers)])
            self.last = nn.Parameter(torch.randn(heads, hidden, 2) / hidden**0.5)

        def forward(self, x):
            h = x.unsqueeze(0).expand(self.last.shape[0], -1, -1)
            for weight, bias in zip(self.weights, self.biases):
                h = functional.relu(torch.baddbmm(bias, h, weight))
            return torch.bmm(h, self.last)

    class SeqLen(nn.Module):
        def __init__(self, layers=20, hidden=1024, sequence=128):
            super().__init__()
            self.sequence = sequence
            self.layers = nn.ModuleList([nn.Linear(hidden, hidden) for _ in range(layers - 1)])
            self.norms = nn.ModuleList([nn.LayerNorm(hidden) for _ in range(layers - 1)])
            self.last = nn.Linear(hidden, 2)

        def forward(self, x):
            h = x.unsqueeze(1).expand(-1, self.sequence, -1)
            for layer, norm in zip(self.layers, self.norms):
                h = functional.relu(norm(layer(h)))
            return self.last(h[:, 0, :])

    class Encoder(nn.Module):
        def __init__(self, layers, hidden, heads, sequence=128, vocabulary=1024):
            super().__init__()
            self.heads = heads
            self.words, self.positions = nn.Embedding(vocabulary, hidden), nn.Parameter(torch.randn(sequence, hidden))
            self.first = nn.LayerNorm(hidden, eps=1e-12)
            self.blocks = nn.ModuleList()
            for _ in range(layers):
                block = nn.ModuleDict({name: nn.Linear(hidden, hidden) for name in ("query", "key", "value", "attention")})
                block["up"], block["down"] = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)
                block["norm"], block["last"] = nn.LayerNorm(hidden, eps=1e-12), nn.LayerNorm(hidden, eps=1e-12)
                self.blocks.append(block)

        def forward(self, tokens):
            x = self.first(self.words(tokens) + self.positions)
            for block in self.blocks:
                rows, sequence, hidden = x.shape

                def split(y):
                    return y.view(rows, sequence, self.heads, hidden // self.heads).transpose(1, 2)

                context = functional.scaled_dot_product_attention(split(block["query"](x)), split(block["key"](x)), split(block["value"](x)))
                x = block["norm"](block["attention"](context.transpose(1, 2).reshape(rows, sequence, hidden)) + x)
                x = block["last"](block["down"](functional.gelu(block["up"](x))) + x)
            return x

    def floats(rows):
        return torch.randn(rows, 1024, device="cuda", dtype=torch.float16)

    def tokens(rows):
        return torch.randint(0, 1024, (rows, 128), device="cuda")

    # seqlen before the rest: its compiled form is the peer of a row of its own.
    return {
        "linear": (linear, floats, HEADS), "stacked": (Stacked, floats, [8, 256, 1, 64]), "seqlen": (SeqLen, floats, [256, 8]),
        "bert-base": (lambda: Encoder(12, 768, 12), tokens, [1, 32]), "minilm": (lambda: Encoder(6, 384, 12), tokens, [1, 32]),
    }


def replaying(torch, function, argument):
    graph, answer = captured(torch, function, argument)

    def call():
        graph.replay()

    # What the graph reads and writes must not be given back while it is replayed.
    call.held = function, argument, answer
    return call


def batches(torch, make, argument, rows, mode):
    """(rows, what makes the call that is timed) of a model; it is made on first use, where what fails is said."""
    module = None

    def measured(count):
        nonlocal module
        if module is None:
            torch.manual_seed(1)
            module = make().half().cuda().eval()
        given = argument(count)
        if mode == "eager":
            return lambda: module(given)
        if mode == "graph":
            return replaying(torch, module, given)
        torch._dynamo.reset()
        return replaying(torch, torch.compile(module, mode="max-autotune-no-cudagraphs", dynamic=False), given)

    for count in rows:
        yield count, lambda: measured(count)


def copies(torch):
    def measured():
        # 32,768 x 1,024 of two bytes, read and written.
        source = torch.randn(32_768, 1024, device="cuda", dtype=torch.float16)
        target = torch.empty_like(source)
        return replaying(torch, target.copy_, source)

    yield 32_768, measured


def timed(torch, call, seconds):
    """Microseconds per call, back to back: median and tenths of groups of calls between two events."""
    def group(count):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(count):
            call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) * 1000 / count

    group(3)
    once = max(1.0, group(10))
    count = max(1, min(50, int(seconds * 1e6 / once / 11)))
    times = sorted(group(count) for _ in range(11))
    return count * 11, statistics.median(times), times[1], times[9]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.15)
    parser.add_argument("--modes", default="eager,graph,compile")
    parser.add_argument("--models", default="linear,stacked,seqlen,bert-base,minilm,copy")
    options = parser.parse_args()
    try:
        import torch
    except ImportError:
        sys.exit("torch is not installed: pip install torch==2.11.0 (Scripts/gpu-bring-up prepare)")
    if not torch.cuda.is_available():
        sys.exit(f"torch {torch.__version__} sees no GPU")
    print(f"# torch {torch.__version__}, {torch.cuda.get_device_name()}, fp16")
    print("model,rows,mode,batches,device_us_median,device_us_p10,device_us_p90", flush=True)
    known, failed = models(torch), False
    # Modes outermost: compiling takes the longest and may be cut off.
    for mode in options.modes.split(","):
        for name in options.models.split(","):
            if name == "copy" and mode != "graph":
                continue
            for count, measured in copies(torch) if name == "copy" else batches(torch, *known[name], mode):
                try:
                    with torch.inference_mode():
                        figures = timed(torch, measured(), options.seconds)
                    print(f"{name},{count},{mode}," + "%d,%.1f,%.1f,%.1f" % figures, flush=True)
                except Exception as error:  # one of many: the others are worth as much
                    failed = True
                    print(f"{name}, {count} rows, {mode}: {type(error).__name__}: {str(error)[:300]}", file=sys.stderr, flush=True)
                # What did not fit must not take the room of what would.
                torch.cuda.empty_cache()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
