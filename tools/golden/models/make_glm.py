"""tests/golden/models/glm, by transformers 4.57 and, for the models that fill blanks, by the code that ships with
them (modeling_glm.py, configuration_glm.py in a folder): python make_glm.py OUT FOLDER"""

import json
import sys

import torch
from transformers import GlmConfig, GlmForCausalLM

import common
from common import Fixtures, changed, edited, exact
from reference import Reference, reading_head, transformers_reference

SCALES = [("norm.weight", (1.0, 0.3)), ("layernorm.weight", (1.0, 0.3)), (".bias", (0.0, 0.3)),
          ("embed", (0.0, 0.8)), ("q_proj", (0.0, 0.22)), ("k_proj", (0.0, 0.22)), ("query_key_value", (0.0, 0.22)),
          ("lm_head", (0.0, 0.4)), ("", (0.0, 0.25))]
TOKENS = {"<|startofpiece|>": 91, "[MASK]": 92, "[sMASK]": 93, "[gMASK]": 94}


def blank_reference(folder):
    sys.path.insert(0, folder)
    from modeling_glm import GLMForConditionalGeneration

    def build(config):
        return GLMForConditionalGeneration(config).float().eval()

    def run(model, ids, prompt):
        start = ids.index(TOKENS["<|startofpiece|>"])
        blank = next(i for i, token in enumerate(ids) if token in list(TOKENS.values())[1:])
        n = len(ids)
        positions = list(range(start)) + [blank] * (n - start)
        blocks = [0] * start + list(range(1, n - start + 1))
        mask = torch.ones(n, n).tril()
        mask[:, :start] = 1
        seen = []
        hook = model.glm.transformer.final_layernorm.register_forward_hook(lambda m, i, o: seen.append(o[0]))
        out = model(torch.tensor([ids]), position_ids=torch.tensor([[positions, blocks]]),
                    attention_mask=mask[None, None])
        hook.remove()
        return out.logits[0], seen[0], None

    return Reference(build, run, "GLMForConditionalGeneration")


def draw_blank(vocabulary, length, seed):
    """A context with a blank, then the start of the answer; some of the answer in longer ones."""
    ids = [token % 90 for token in common.draw(vocabulary, length, seed)]
    start = length - 1 if length < 20 else length * 2 // 3
    ids[start] = TOKENS["<|startofpiece|>"]
    ids[start // 2] = list(TOKENS.values())[1 + seed % 3]
    return ids


def make_decoder(out):
    fixtures = Fixtures(out, GlmForCausalLM)
    shape = dict(vocab_size=97, hidden_size=36, intermediate_size=50, num_hidden_layers=2, num_attention_heads=6,
                 num_key_value_heads=2, head_dim=12, max_position_embeddings=512, rms_norm_eps=0.2, rope_theta=500.0,
                 partial_rotary_factor=0.5, pad_token_id=0, eos_token_id=[2, 5])
    plain = GlmConfig(**shape)
    model = fixtures.model(plain, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("decoder", model)
    toggles = {
        "share": (changed(plain, partial_rotary_factor=1.0), state),
        "theta": (changed(plain, rope_theta=10000.0), state),
        "eps": (changed(plain, rms_norm_eps=1e-6), state),
        "activation": (changed(plain, hidden_act="gelu"), state),
        "gate and up": (plain, edited(state, "gate_up_proj", lambda t: t.roll(len(t) // 2, 0))),
    }
    for part in ("q_proj.bias", "k_proj.bias", "v_proj.bias"):
        toggles[part] = (plain, edited(state, part, torch.zeros_like))
    fixtures.add("decoder", plain, model, "decoder", toggles, 11)
    free = GlmConfig(**{**shape, "num_key_value_heads": 6, "num_hidden_layers": 1}, attention_bias=False, tie_word_embeddings=True)
    model = fixtures.model(free, 2, SCALES)
    fixtures.write_weights("unbiased", model)
    fixtures.add("unbiased", free, model, "unbiased", {}, 12, spelling=common.as_transformers_5)
    return fixtures


def make_blank(fixtures, folder):
    sys.path.insert(0, folder)
    from configuration_glm import GLMConfig
    fixtures.reference, fixtures.draw = blank_reference(folder), draw_blank
    config = GLMConfig(num_layers=2, vocab_size=97, hidden_size=40, num_attention_heads=5, max_sequence_length=303,
                       output_predict=True, attention_scale=8.0)
    model = fixtures.model(config, 3, SCALES)
    state = model.state_dict()
    fixtures.write_weights("blank", model)
    toggles = {
        "positions": (config, edited(state, "transformer.position_embeddings", lambda t: t.roll(1, 0))),
        "block positions": (config, edited(state, "block_position_embeddings", lambda t: t.roll(1, 0))),
        "scale": (changed(config, attention_scale=1.0), state, 0),
    }
    for part in ("query_key_value.bias", "dense.bias", "dense_h_to_4h.bias", "dense_4h_to_h.bias",
                 "input_layernorm.bias", "post_attention_layernorm.bias", "final_layernorm.bias"):
        toggles[part] = (config, edited(state, part, torch.zeros_like))
    fixtures.add("blank", config, model, "blank", toggles, 13, lengths=(3, 6, 17, 37, 300),
                 spread="its code gives no attention probabilities")
    fixtures.folder.joinpath("blank.added_tokens.json").write_text(json.dumps(TOKENS) + "\n")


def main(out, folder):
    fixtures = make_decoder(out)
    make_blank(fixtures, folder)
    fixtures.finish()


main(*sys.argv[1:])
