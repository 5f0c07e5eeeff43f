"""Small models exported from PyTorch by both exporters, with inputs and PyTorch's own outputs.

Run once; the results are committed, because PyTorch is too large for a test run:

    pip install torch onnx onnxscript && python make_models.py
"""
import json
import pathlib
import torch
from torch import nn

FOLDER = pathlib.Path(__file__).parent


class Block(nn.Module):
    """An encoder block as BERT has it, with views, transposes and a decomposed softmax(QK^T)V."""

    def __init__(self, hidden=32, heads=2):
        super().__init__()
        self.heads, self.depth = heads, hidden // heads
        self.query, self.key, self.value = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.attention, self.norm1 = nn.Linear(hidden, hidden), nn.LayerNorm(hidden)
        self.up, self.down, self.norm2 = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden), nn.LayerNorm(hidden)

    def split(self, x):
        return x.view(x.size(0), x.size(1), self.heads, self.depth).transpose(1, 2)

    def forward(self, x):
        query, key, value = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        scores = torch.softmax(query @ key.transpose(-1, -2) / self.depth**0.5, dim=-1)
        context = (scores @ value).transpose(1, 2).reshape(x.size(0), x.size(1), -1)
        x = self.norm1(x + self.attention(context))
        return self.norm2(x + self.down(nn.functional.gelu(self.up(x))))


class Encoder(nn.Module):
    def __init__(self, hidden=24, sequence=8, vocabulary=64):
        super().__init__()
        self.words, self.positions = nn.Embedding(vocabulary, hidden), nn.Parameter(torch.randn(sequence, hidden) * 0.5)
        self.norm, self.blocks = nn.LayerNorm(hidden), nn.Sequential(Block(hidden), Block(hidden))
        self.pooler, self.classifier = nn.Linear(hidden, hidden), nn.Linear(hidden, 2)

    def forward(self, tokens):
        x = self.blocks(self.norm(self.words(tokens) + self.positions))
        return self.classifier(torch.tanh(self.pooler(x[:, 0])))


class SeqLenHead(nn.Module):
    """The source document's head, small."""

    def __init__(self, in_features=32, hidden=32, num_labels=2, num_layers=4, seq_len=6):
        super().__init__()
        self.seq_len = seq_len
        self.proj_in, self.ln_in = nn.Linear(in_features, hidden), nn.LayerNorm(hidden)
        self.mid_layers = nn.ModuleList([nn.Linear(hidden, hidden) for _ in range(num_layers - 2)])
        self.mid_norms = nn.ModuleList([nn.LayerNorm(hidden) for _ in range(num_layers - 2)])
        self.proj_out = nn.Linear(hidden, num_labels)

    def forward(self, x):
        x = x.unsqueeze(1).expand(-1, self.seq_len, -1)
        h = torch.relu(self.ln_in(self.proj_in(x)))
        for layer, norm in zip(self.mid_layers, self.mid_norms):
            h = torch.relu(norm(layer(h)))
        return self.proj_out(h[:, 0, :])


class Mixed(nn.Module):
    """Operators that the others do not use: split, concat, where, pow, both GELUs, sigmoid, mean, flatten."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 16)

    def forward(self, x):
        a, b = torch.split(self.fc(x), [6, 10], dim=-1)
        a = torch.where(a > 0, a, torch.zeros_like(a)) if False else torch.sigmoid(a) * torch.tanh(a)
        x = torch.cat([a, nn.functional.gelu(b, approximate="tanh")], dim=-1)
        x = torch.sqrt(x.pow(2) + 1.0) - x.mean(dim=-1, keepdim=True)
        return torch.flatten(x.reshape(-1, 4, 4).transpose(1, 2), 1)


def export(name, model, inputs, opset, dynamo):
    torch.manual_seed(3)
    model = model.eval()
    path = FOLDER / f"{name}.onnx"
    if dynamo:
        torch.onnx.export(
            model, inputs, str(path), dynamo=True, opset_version=opset, input_names=["input"], output_names=["output"],
            dynamic_shapes=({0: torch.export.Dim("batch")},), external_data=False)
    else:
        torch.onnx.export(
            model, inputs, str(path), dynamo=False, opset_version=opset, input_names=["input"], output_names=["output"],
            dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}})
    with torch.no_grad():
        output = model(*inputs)
    case = {"input": {"shape": list(inputs[0].shape), "values": inputs[0].flatten().tolist()},
            "output": {"shape": list(output.shape), "values": output.flatten().tolist()}}
    (FOLDER / f"{name}.json").write_text(json.dumps(case))
    size = path.stat().st_size
    assert size < 200_000, (name, size)
    print(name, size)


if __name__ == "__main__":
    torch.manual_seed(1)
    tokens, rows, mixed = (torch.randint(0, 64, (3, 8)),), (torch.randn(3, 32),), (torch.randn(3, 16),)
    for dynamo, opsets in ((False, (11, 13, 17)), (True, (18,))):
        for opset in opsets:
            label = f"{'dynamo' if dynamo else 'script'}-{opset}"
            for name, make, inputs in (("encoder", Encoder, tokens), ("seqlen", SeqLenHead, rows), ("mixed", Mixed, mixed)):
                if opset in (11, 13) and name == "mixed" and opset == 11:
                    continue
                torch.manual_seed(2)
                export(f"{name}-{label}", make(), inputs, opset, dynamo)
