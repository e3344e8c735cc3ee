#include "models/latent_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "models/llama_like.h"
#include "models/rope_config.h"

namespace tensormill {
namespace {

// Where cosines and sines are scaled for long texts, the scores of all elements are too.
float long_scale(ConfigReader& config, const RopeSpec& rope) {
  const char* key = config.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (!config.has(key)) return 1;
  ConfigReader scaling = config.object(key);
  if (scaling.has("mscale") != scaling.has("mscale_all_dim")) {
    scaling.fail("mscale_all_dim", "both it and mscale, or neither");
  }
  constexpr float kMost = 1e6F;
  const float all = scaling.number("mscale_all_dim", 0, kMost, 0.0F);
  const float amplitude = all > 0 ? yarn_amplitude(rope.factor, all) : 1;
  return amplitude * amplitude;
}

}  // namespace

AttentionSpec read_latent_attention(ConfigReader& config, int32_t max_positions) {
  AttentionSpec attention;
  LatentSpec& latent = attention.latent;
  attention.heads = config.integer("num_attention_heads", 1, kMaxHeads);
  if (config.integer("num_key_value_heads", 1, kMaxHeads, attention.heads) != attention.heads) {
    config.fail("num_key_value_heads", "num_attention_heads");
  }
  if (!config.has("q_lora_rank") && !config.is_null("q_lora_rank")) {
    config.fail("q_lora_rank", "a number or null");
  }
  latent.query_rank = config.integer("q_lora_rank", 1, kMaxWidth, 0);
  latent.rank = config.integer("kv_lora_rank", 1, kMaxHeadDim);
  latent.plain = config.integer("qk_nope_head_dim", 1, kMaxHeadDim);
  latent.values = config.integer("v_head_dim", 1, kMaxHeadDim);
  const int32_t rope = config.integer("qk_rope_head_dim", 2, kMaxHeadDim);
  if (rope % 2 != 0) config.fail("qk_rope_head_dim", "an even number");
  if (latent.rank + rope > kMaxHeadDim) {
    config.fail("kv_lora_rank",
                fmt::format("at most {} with qk_rope_head_dim, which is {}", kMaxHeadDim, rope));
  }
  constexpr float kEps = 1e-6F;
  latent.norm = {NormKind::kRms, kEps, false};
  if (latent.query_rank > 0) latent.query_norm = latent.norm;
  latent.bias = attention.out_bias = config.flag("attention_bias", false);
  attention.rope = read_rope(config, "rope_theta", rope, 1, max_positions);
  attention.rope.neighbours = true;
  attention.kv_heads = 1;
  attention.dim = rope + latent.rank;
  attention.value_dim = latent.rank;
  attention.scale =
      long_scale(config, attention.rope) / std::sqrt(static_cast<float>(latent.plain + rope));
  config.without_effect({"head_dim", "qk_head_dim"});  // other words for the same
  return attention;
}

Names latent_names(const AttentionSpec& attention) {
  Names names = usual_names();
  std::erase_if(names.rows, [](const NameRow& row) {
    constexpr Role kPlain[] = {Role::kQuery, Role::kKey, Role::kValue, Role::kQueryNorm,
                               Role::kKeyNorm};
    return std::find(std::begin(kPlain), std::end(kPlain), row.role) != std::end(kPlain);
  });
  const auto add = [&](std::string_view pattern, Role role) {
    names.rows.push_back({pattern, role, 0});
  };
  if (attention.latent.query_rank == 0) {
    add("layers.{L}.self_attn.q_proj", Role::kQuery);
  } else {
    add("layers.{L}.self_attn.q_a_proj", Role::kQueryDown);
    add("layers.{L}.self_attn.q_a_layernorm", Role::kQueryDownNorm);
    add("layers.{L}.self_attn.q_b_proj", Role::kQuery);
  }
  add("layers.{L}.self_attn.kv_a_proj_with_mqa", Role::kLatent);
  add("layers.{L}.self_attn.kv_a_layernorm", Role::kLatentNorm);
  add("layers.{L}.self_attn.kv_b_proj", Role::kFromLatent);
  return names;
}

}  // namespace tensormill
