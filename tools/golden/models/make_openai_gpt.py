"""tests/golden/models/openai-gpt, by transformers 4.57: python make_openai_gpt.py OUT"""

import copy
import sys

import torch
from transformers import OpenAIGPTConfig, OpenAIGPTLMHeadModel

from common import Fixtures, changed, edited
from edits import zeroed
from reference import Reference, reading_head

SCALES = [("ln_1.weight", (1.0, 0.3)), ("ln_2.weight", (1.0, 0.3)), (".bias", (0.0, 0.4)),
          ("tokens_embed", (0.0, 0.8)), ("positions_embed", (0.0, 0.6)), ("c_attn", (0.0, 0.25)),
          ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]
BIASES = ("ln_1.bias", "ln_2.bias", "c_attn.bias", "attn.c_proj.bias", "c_fc.bias", "mlp.c_proj.bias")


def run(model, ids, prompt):
    out, hidden = reading_head(model.lm_head, lambda: model(torch.tensor([ids]), output_attentions=True))
    return out.logits[0], hidden, out.attentions


def main(out):
    fixtures = Fixtures(out, Reference(lambda config: OpenAIGPTLMHeadModel(copy.deepcopy(config)).float().eval(), run,
                                       "OpenAIGPTLMHeadModel"))
    shape = dict(vocab_size=97, n_layer=2, n_positions=320, layer_norm_epsilon=0.2)

    # As the authors publish it: names without a prefix.
    plain = OpenAIGPTConfig(**shape, n_embd=35, n_head=5)
    model = fixtures.model(plain, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("plain", model, prefix_strip="transformer.")
    fixtures.add("plain", plain, model, "plain", {
        **zeroed(plain, state, *BIASES),
        "positions": (plain, edited(state, "positions_embed", lambda t: t.roll(1, 0))),
        "scale": (plain, edited(state, "c_attn", lambda t: torch.cat([t[..., :35] * 7**0.5, t[..., 35:]], -1))),
        "eps": (changed(plain, layer_norm_epsilon=1e-5), state),
        "activation": (changed(plain, afn="relu"), state),
    }, 81)

    swish = OpenAIGPTConfig(**shape, n_embd=24, n_head=3, afn="swish", tie_word_embeddings=False)
    model = fixtures.model(swish, 2, [("c_attn.weight", (0.0, 0.3)), *SCALES])
    fixtures.write_weights("swish", model)
    fixtures.add("swish", swish, model, "swish",
                 {"activation": (changed(swish, afn="gelu"), model.state_dict())}, 82)
    fixtures.finish()


main(sys.argv[1])
