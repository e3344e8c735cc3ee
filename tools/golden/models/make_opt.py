"""tests/golden/models/opt, by transformers 4.57: python make_opt.py OUT"""

import copy
import sys

import torch
from transformers import OPTConfig, OPTForCausalLM
from transformers.modeling_utils import no_init_weights

from common import Fixtures, changed, edited
from edits import zeroed
from reference import Reference, transformers_reference

SCALES = [("layer_norm.weight", (1.0, 0.3)), (".bias", (0.0, 0.4)), ("embed_tokens", (0.0, 0.8)),
          ("embed_positions", (0.0, 0.6)), ("q_proj", (0.0, 0.25)), ("k_proj", (0.0, 0.25)), ("lm_head", (0.0, 0.4)),
          ("", (0.0, 0.3))]
BIASES = ("self_attn_layer_norm.bias", "q_proj.bias", "k_proj.bias", "v_proj.bias", "out_proj.bias", "fc1.bias",
          "fc2.bias")


def build(config):
    """Its own first weights can't be made for norms without any."""
    config = copy.deepcopy(config)
    config._attn_implementation = "eager"
    with no_init_weights():
        model = OPTForCausalLM(config)
    model.tie_weights()
    return model.float().eval()


def main(out):
    fixtures = Fixtures(out, Reference(build, transformers_reference(OPTForCausalLM).run, "OPTForCausalLM"))
    shape = dict(vocab_size=97, num_hidden_layers=2, max_position_embeddings=320)

    before = OPTConfig(**shape, hidden_size=40, ffn_dim=52, num_attention_heads=5)
    model = fixtures.model(before, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("before", model)
    fixtures.add("before", before, model, "before", {
        # A key's bias adds the same to all scores of a row.
        **zeroed(before, state, "layers.0.final_layer_norm.bias", "decoder.final_layer_norm.bias",
                 *(b for b in BIASES if b != "k_proj.bias")),
        "positions": (before, edited(state, "embed_positions", lambda t: t.roll(1, 0))),
        "norms before": (changed(before, do_layer_norm_before=False),
                         {k: v for k, v in state.items() if "decoder.final" not in k}),
        "activation": (changed(before, activation_function="gelu"), state),
    }, 91)

    # As 350m: norms after the branches, a narrow embedding; and as first uploads, without "model.".
    after = OPTConfig(**shape, hidden_size=36, ffn_dim=50, num_attention_heads=3, do_layer_norm_before=False,
                      word_embed_proj_dim=14)
    model = fixtures.model(after, 2, [("q_proj.weight", (0.0, 0.2)), ("fc", (0.0, 0.2)), *SCALES])
    state = model.state_dict()
    fixtures.write_weights("after", model, prefix_strip="model.")
    fixtures.add("after", after, model, "after", {
        **zeroed(after, state, "project_in", "project_out"),
        "norms after": (changed(after, do_layer_norm_before=True, _remove_final_layer_norm=True), state),
    }, 92)

    # As Galactica: GELU, no biases, norms without weights.
    bare = OPTConfig(**shape, hidden_size=24, ffn_dim=34, num_attention_heads=3, enable_bias=False,
                     layer_norm_elementwise_affine=False, activation_function="gelu")
    model = fixtures.model(bare, 3, SCALES)
    state = model.state_dict()
    fixtures.write_weights("bare", model)
    fixtures.add("bare", bare, model, "bare", {
        "activation": (changed(bare, activation_function="relu"), state),
        "final norm": (changed(bare, _remove_final_layer_norm=True), state),
    }, 93)

    # As fine-tuned by an early version: no final norm. A narrow head of its own.
    removed = OPTConfig(**shape, hidden_size=20, ffn_dim=30, num_attention_heads=2, _remove_final_layer_norm=True,
                        word_embed_proj_dim=28, tie_word_embeddings=False)
    model = fixtures.model(removed, 4, SCALES)
    fixtures.write_weights("removed", model)
    fixtures.add("removed", removed, model, "removed", {
        **zeroed(removed, model.state_dict(), "project_in", "project_out", "lm_head"),
    }, 94)
    fixtures.finish()


main(sys.argv[1])
