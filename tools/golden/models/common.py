"""Tiny random checkpoints whose every covered flag moves the logits, and what transformers makes of them."""

import copy
import json
import pathlib

import torch
from safetensors.torch import save_file

TOLERANCE = 1e-4  # of the largest logit: what the tests allow
MARGIN = 100  # tolerances that a covered flag must move the logits by
LENGTHS = (1, 7, 37, 300)  # one token, less than a cache block, more than one, more than a chunk of keys
GREEDY_PROMPT, GREEDY_TOKENS = 1, 24


def prompts(vocabulary, seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, vocabulary, (n,), generator=generator).tolist() for n in LENGTHS]


def kept_rows(length):
    """Rows whose results are stored: all of a short prompt, some of a long one."""
    return list(range(length)) if length < 10 else [0, length // 2, length - 2, length - 1]


def randomize(model, seed, scales):
    """Normal weights; `scales` maps a part of a name to (mean, deviation), the first match wins."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            mean, deviation = next(v for key, v in scales if key in name)
            values = mean + deviation * torch.randn(parameter.shape, generator=generator)
            parameter.copy_(values.to(torch.float16).float())
    model.tie_weights()
    return model.eval()


def build(model_class, config, state=None):
    config = copy.deepcopy(config)
    config._attn_implementation = "eager"
    model = model_class(config).float().eval()
    if state is not None:
        model.load_state_dict(state)
    return model


def run(model_class, config, state, ids):
    """A fresh model for every prompt: dynamic rope remembers the longest it has seen."""
    model = build(model_class, config, state)
    with torch.no_grad():
        out = model(torch.tensor([ids]), output_hidden_states=True, output_attentions=True)
    return out.logits[0], out.hidden_states[-1][0], out.attentions


def greedy(model_class, config, state, ids):
    model = build(model_class, config, state)
    with torch.no_grad():
        out = model.generate(torch.tensor([ids]), max_new_tokens=GREEDY_TOKENS, do_sample=False,
                             eos_token_id=None, pad_token_id=0, use_cache=True,
                             return_dict_in_generate=True, output_logits=True)
    for logits in out.logits:
        best = logits[0].topk(2).values
        assert best[0] - best[1] > 5 * TOLERANCE * logits.abs().max(), "a greedy choice is too close"
    return out.sequences[0, len(ids):].tolist()


def check_spread(attentions):
    """Scores must spread, or wrong positions would pass."""
    for layer in attentions:
        peak = layer[0, :, -1].max(-1).values.mean()
        assert peak > 0.2, f"attention is too even: its mean peak is {peak:.3f}"


def moved(model_class, config, state, reference, ids):
    logits, _, _ = run(model_class, config, state, ids)
    return ((logits - reference).abs().max() / reference.abs().max()).item() / TOLERANCE


class Fixtures:
    def __init__(self, folder, model_class):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.model_class = model_class
        self.variants = []

    def write_weights(self, name, model):
        tied = model.config.tie_word_embeddings
        state = {k: v.to(torch.float16).contiguous() for k, v in model.state_dict().items()
                 if not (tied and k in ("lm_head.weight", "embed_out.weight"))}
        save_file(state, self.folder / f"{name}.weights.safetensors")

    def add(self, name, config, model, weights, toggles, seed):
        """toggles: name -> (config, state, least move in tolerances) of what a flag's other side would be."""
        state = model.state_dict()
        ids = prompts(config.vocab_size, seed)
        rows = [kept_rows(len(p)) for p in ids]
        results = [run(self.model_class, config, state, p) for p in ids]
        check_spread(results[2][2])
        for toggle, (other, other_state, least) in toggles.items():
            # Some flags only show in long prompts.
            move = max(moved(self.model_class, other, other_state, r[0], p)
                       for p, r in zip(ids[1:], results[1:]))
            print(f"{self.folder.name}/{name}: {toggle} moves the logits by {move:.0f} tolerances")
            assert move >= least, f"{toggle} is not covered"
        save_file({"logits": torch.cat([r[0][k] for r, k in zip(results, rows)]).contiguous(),
                   "hidden": torch.cat([r[1][k] for r, k in zip(results, rows)]).contiguous()},
                  self.folder / f"{name}.expected.safetensors")
        described = json.loads(config.to_json_string(use_diff=True))
        described["architectures"] = [self.model_class.__name__]
        (self.folder / f"{name}.config.json").write_text(json.dumps(described, indent=1) + "\n")
        self.variants.append({
            "name": name, "weights": f"{weights}.weights.safetensors", "prompts": ids, "rows": rows,
            "greedy_prompt": GREEDY_PROMPT,
            "greedy": greedy(self.model_class, config, state, ids[GREEDY_PROMPT])})

    def finish(self):
        lines = ",\n".join(json.dumps(v) for v in self.variants)
        (self.folder / "variants.json").write_text(f"[\n{lines}\n]\n")
        total = sum(f.stat().st_size for f in self.folder.iterdir())
        print(f"{self.folder}: {total / 1000:.0f} kB")
        assert total <= 300_000


def changed(config, **values):
    other = copy.deepcopy(config)
    for key, value in values.items():
        assert hasattr(other, key), key
        setattr(other, key, value)
    return other


def edited(state, part, edit):
    """A copy of the state with edit(tensor) where `part` is in the name; it must be somewhere."""
    assert any(part in name for name in state), part
    return {name: edit(value.clone()) if part in name else value for name, value in state.items()}
