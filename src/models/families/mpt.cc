#include <cmath>

#include "models/alibi.h"
#include "models/common_config.h"
#include "models/families/families.h"

namespace tensormill {
namespace {

NormSpec read_norm(ConfigReader& config) {
  const std::string type = config.text("norm_type", "low_precision_layernorm");
  const char* key = config.has("norm_eps") ? "norm_eps" : "layer_norm_epsilon";
  NormSpec norm;
  norm.eps = config.number(key, 0, 1, 1e-5F);
  config.without_effect({"norm_eps", "layer_norm_epsilon"});
  if (type == "layernorm" || type == "low_precision_layernorm") {
    norm.kind = NormKind::kLayer;
    norm.shift = !config.flag("no_bias");
  } else if (type == "rmsnorm" || type == "low_precision_rmsnorm") {
    norm.kind = NormKind::kRms;
  } else {
    config.unsupported("norm_type",
                       "layernorm, low_precision_layernorm, rmsnorm, low_precision_rmsnorm");
  }
  return norm;
}

int32_t read_kv_heads(ConfigReader& config, int32_t heads) {
  const std::string type = config.text("attn_type", "multihead_attention");
  int32_t groups = heads;
  if (type == "multiquery_attention") {
    groups = 1;
  } else if (type == "grouped_query_attention") {
    groups = config.integer("kv_n_heads", 1, heads);
    if (heads % groups != 0) config.fail("kv_n_heads", "a divisor of n_heads");
  } else if (type != "multihead_attention") {
    config.unsupported("attn_type",
                       "multihead_attention, multiquery_attention, grouped_query_attention");
  }
  config.without_effect({"kv_n_heads"});
  return groups;
}

RopeSpec read_rope(ConfigReader& config, int32_t head_dim) {
  RopeSpec rope;
  rope.dim = head_dim;
  rope.theta = config.number("rope_theta", 1, 1e12, 1e4F);
  const std::string code = config.text("rope_impl", "dail");
  if (code == "hf") {
    ConfigReader scaling = config.object("rope_hf_config");
    const std::string type = scaling.text("type");
    if (type == "linear") {
      rope.scaling = RopeScaling::kLinear;
      rope.factor = scaling.number("factor", 1, 1e6);
    } else if (type != "no_scaling") {
      scaling.unsupported("type", "no_scaling, linear");
    }
    scaling.without_effect({"factor"});
  } else if (code == "dail") {
    ConfigReader details = config.object("rope_dail_config");
    if (details.text("type") != "original") details.unsupported("type", "original");
    if (!details.flag("pos_idx_in_fp32", true)) details.unsupported("pos_idx_in_fp32", "true");
    details.without_effect({"xpos_scale_base"});
  } else {
    config.unsupported("rope_impl", "hf, dail");
  }
  if (head_dim % 2 != 0) config.fail("rope", "heads of an even number of values");
  return rope;
}

// Newer code knows these; none of them may be on.
void refuse(ConfigReader& config) {
  for (const char* key : {"prefix_lm", "qk_gn", "nope"}) {
    if (config.flag(key, false)) config.unsupported(key, "false");
  }
  if (!config.flag("fused_qkv", true)) config.unsupported("fused_qkv", "true");
  if (config.has("sliding_window_size") && config.number("sliding_window_size", -1, 1e9) != -1) {
    config.unsupported("sliding_window_size", "-1");
  }
  if (config.has("attn_temperature_tuning")) {
    ConfigReader tuning = config.object("attn_temperature_tuning");
    if (tuning.number("attn_scale", -1e6, 1e6, 0) != 0) tuning.unsupported("attn_scale", "0");
    tuning.without_effect({"floor_scale"});
  }
  // The last masks sequences that training packs into one.
  config.without_effect({"sliding_window_size", "attn_temperature_tuning", "attn_pdrop",
                         "attn_impl", "seq_parallel_world_size", "attn_uses_sequence_id"});
}

// `config`: of attn_config.
AttentionSpec read_attention(ConfigReader& config, int32_t heads, int32_t dim, bool biased) {
  AttentionSpec attention;
  attention.heads = heads;
  attention.kv_heads = read_kv_heads(config, heads);
  attention.dim = dim;
  attention.scale =
      config.number("softmax_scale", 1e-6, 1e6, 1 / std::sqrt(static_cast<float>(dim)));
  attention.clip = config.number("clip_qkv", 0, 1e6, 0);
  attention.qkv_bias = attention.out_bias = biased;
  if (config.flag("qk_ln", false)) {  // of this kind whatever norm_type says
    attention.q_norm = attention.k_norm = {NormKind::kLayer, 1e-5F, biased};
    attention.norm_span = HeadNorm::kAllHeads;
  }
  // transformers' class leaves out what it takes for usual, and writes a model_type here.
  const bool by_class = config.has("model_type");
  const float largest = config.number("alibi_bias_max", 0, 1e3, 8);
  if (config.flag("alibi", by_class ? std::optional(true) : std::nullopt)) {
    attention.bias.slopes = alibi_slopes(heads, largest);
  }
  if (config.flag("rope", false)) attention.rope = read_rope(config, dim);
  config.without_effect({"rope_theta", "rope_impl", "rope_hf_config", "rope_dail_config"});
  refuse(config);
  if (by_class) read_common_keys(config);
  return attention;
}

MlpSpec read_mlp(ConfigReader& config, int32_t width) {
  MlpSpec mlp;
  const float ratio = config.number("expansion_ratio", 1e-3, 1e3, 4);
  mlp.width = static_cast<int32_t>(static_cast<float>(width) * ratio);
  if (mlp.width < 1) config.fail("expansion_ratio", "an inner width of 1 or more");
  mlp.activation = Activation::kGelu;
  if (config.has("ffn_config")) {
    ConfigReader details = config.object("ffn_config");
    if (details.text("ffn_type") != "mptmlp") details.unsupported("ffn_type", "mptmlp");
    details.without_effect({"fc_type"});
  }
  config.without_effect({"ffn_config"});
  return mlp;
}

HeadSpec read_head(ConfigReader& config, int32_t width) {
  HeadSpec head;
  head.tied = config.flag("tie_word_embeddings", true);
  if (config.is_text("logit_scale")) {
    if (config.text("logit_scale") != "inv_sqrt_d_model") {
      config.unsupported("logit_scale", "a number, inv_sqrt_d_model");
    }
    head.scale = 1 / std::sqrt(static_cast<float>(width));
  } else {
    head.scale = config.number("logit_scale", 1e-6, 1e6, 1);
  }
  return head;
}

Names names() {
  return {"transformer.",
          {{"wte", Role::kEmbedding},
           {"wpe", Role::kPositions},
           {"blocks.{L}.norm_1", Role::kNormIn, 0},
           {"blocks.{L}.attn.Wqkv", Role::kQueryKeyValue, 0},
           {"blocks.{L}.attn.q_ln", Role::kQueryNorm, 0},
           {"blocks.{L}.attn.k_ln", Role::kKeyNorm, 0},
           {"blocks.{L}.attn.out_proj", Role::kAttentionOut, 0},
           {"blocks.{L}.norm_2", Role::kNormIn, 1},
           {"blocks.{L}.ffn.up_proj", Role::kUp, 1},
           {"blocks.{L}.ffn.down_proj", Role::kDown, 1},
           {"norm_f", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"rotary_embedding.inv_freq"}};
}

}  // namespace

FamilyModel describe_mpt(ConfigReader& config) {
  TransformerSpec spec;
  spec.max_positions = config.integer("max_seq_len", 1, kMaxPositions);
  StackSpec stack;
  stack.width = config.integer("d_model", 1, kMaxWidth);
  spec.head = read_head(config, stack.width);
  stack.embedding.vocabulary = config.integer("vocab_size", 1, kMaxVocabulary);
  stack.final_norm = read_norm(config);
  const bool biased = !config.flag("no_bias");
  const int32_t heads = config.integer("n_heads", 1, kMaxHeads);
  const int32_t dim = even_head_dim(config, "d_model", stack.width, "n_heads", heads);
  ConfigReader details = config.object("attn_config");
  AttentionSpec attention = read_attention(details, heads, dim, biased);
  const bool placed = !attention.bias.slopes.empty() || attention.rope.dim > 0;
  const bool learned = config.flag("learned_pos_emb", true) && !placed;
  if (!learned && !placed) config.fail("learned_pos_emb", "true where neither alibi nor rope is");
  if (learned) stack.embedding.position_rows = spec.max_positions;
  MlpSpec mlp = read_mlp(config, stack.width);
  mlp.bias = biased;

  BranchSpec first, second;
  first.body = attention;
  second.body = mlp;
  first.in = second.in = stack.final_norm;
  stack.kinds = {{first, second}};
  stack.layers = uniform_layers(config.integer("n_layers", 1, kMaxLayers));
  spec.stacks.push_back(std::move(stack));
  // embedding_fraction only scales gradients.
  config.without_effect({"attn_config", "init_config", "init_device", "verbose", "tokenizer_name",
                         "resid_pdrop", "emb_pdrop", "embedding_fraction", "loss_fn", "name",
                         "use_pad_tok_in_ffn", "fc_type"});
  return {std::move(spec), names()};
}

}  // namespace tensormill
