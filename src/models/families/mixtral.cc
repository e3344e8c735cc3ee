#include "models/families/families.h"
#include "models/llama_like.h"
#include "models/mixture.h"

namespace tensormill {

FamilyModel describe_mixtral(ConfigReader& config) {
  constexpr int32_t kUsualPositions = 131072, kUsualExperts = 8, kUsualActive = 2;
  TransformerSpec spec = read_decoder(config, kUsualPositions);
  StackSpec& stack = spec.stacks.front();
  AttentionSpec attention = read_heads(config, stack.width);
  attention.rope = read_rope(config, "rope_theta", attention.dim, 1, spec.max_positions);
  attention.mask.window = read_window(config);
  stack.final_norm = read_rms_norm(config, 1e-5F);
  MlpSpec mlp = read_gated_mlp(config);
  mlp.experts = read_experts(config, "num_local_experts", kUsualExperts, kUsualActive);
  if (mlp.experts.count == 0) config.fail("num_local_experts", "2 or more");
  mlp.experts.normalize = true;
  stack.kinds = {pre_norm_layer(attention, mlp, stack.final_norm)};
  stack.layers = uniform_layers(read_layer_count(config));
  Names names = usual_names();
  for (const NameRow& row :
       {NameRow{"layers.{L}.block_sparse_moe.gate", Role::kRouter, 1},
        NameRow{"layers.{L}.block_sparse_moe.experts.{E}.w1", Role::kGate, 1},
        NameRow{"layers.{L}.block_sparse_moe.experts.{E}.w3", Role::kUp, 1},
        NameRow{"layers.{L}.block_sparse_moe.experts.{E}.w2", Role::kDown, 1}}) {
    names.rows.push_back(row);
  }
  return {std::move(spec), std::move(names)};
}

}  // namespace tensormill
