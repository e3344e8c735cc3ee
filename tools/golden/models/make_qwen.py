"""tests/golden/models/qwen, by the code that ships with the checkpoints and transformers 4.36:
python make_qwen.py OUT CODE, where CODE has modeling_qwen.py, configuration_qwen.py and qwen_generation_utils.py"""

import sys

import shipped
from common import Fixtures, changed
from toggles import flags, pairs, without

SCALES = [("ln_", (1.0, 0.3)), (".bias", (0.0, 0.4)), ("wte", (0.0, 1.0)), ("c_attn", (0.0, 0.22)),
          ("mlp", (0.0, 0.2)), ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]
OLDER = {"hidden_size": "n_embd", "num_attention_heads": "n_head", "max_position_embeddings": "n_positions",
         "num_hidden_layers": "n_layer", "intermediate_size": "ffn_hidden_size"}


def as_first_published(written):
    """Names of keys in the first files."""
    return {OLDER.get(key, key): value for key, value in written.items()} | {
        "padded_vocab_size": written["vocab_size"], "activation": "swiglu", "pos_emb": "rotary"}


def main(out, code):
    config_class = shipped.load(code, "configuration_qwen").QWenConfig
    modeling = shipped.load(code, "modeling_qwen")
    modeling.SUPPORT_TORCH2 = False  # its own attention, which shows probabilities
    fixtures = Fixtures(out, modeling.QWenLMHeadModel)
    shape = dict(vocab_size=97, hidden_size=36, intermediate_size=102, num_hidden_layers=2, num_attention_heads=3,
                 kv_channels=12, layer_norm_epsilon=0.2, seq_length=24, fp32=True, use_flash_attn=False)

    # Continued from 37 tokens: the base stays that of the prompt.
    long = config_class(**shape, max_position_embeddings=512)
    model = fixtures.model(long, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("long", model)
    swapped = {name.replace("w1", "w?").replace("w2", "w1").replace("w?", "w2"): t for name, t in state.items()}
    toggles = {**flags(long, state, layer_norm_epsilon=1e-6, rotary_emb_base=500, use_dynamic_ntk=False,
                       use_logn_attn=False, seq_length=25),
               "gate and up": (long, swapped), **without(long, state, "c_attn.bias"),
               **pairs(long, state, 12, 12, ("c_attn",))}
    fixtures.add("long", long, model, "long", toggles, 161, lengths=(1, 2, 17, 24, 37, 300), greedy_prompt=4,
                 cached=True)

    # No length acts, and the names are those of the first files.
    older = config_class(**{**shape, "num_attention_heads": 2, "kv_channels": 18}, max_position_embeddings=512,
                         use_dynamic_ntk=False, use_logn_attn=False, no_bias=False, rotary_pct=0.5, rotary_emb_base=500,
                         tie_word_embeddings=True)
    older = changed(older, rotary_pct=0.45)  # 8 of 18
    model = fixtures.model(older, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("older", model)
    toggles = {**flags(older, state, rotary_emb_base=10000, rotary_pct=1.0, use_dynamic_ntk=True, use_logn_attn=True),
               **without(older, state, "attn.c_proj.bias", "mlp.c_proj.bias", "w1.bias", "w2.bias")}
    fixtures.add("older", older, model, "older", toggles, 162, spelling=as_first_published)
    fixtures.finish()


main(*sys.argv[1:])
