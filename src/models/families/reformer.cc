#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "base/error.h"
#include "models/common_config.h"
#include "models/families/families.h"
#include "models/llama_like.h"
#include "nn/hash_table.h"

namespace tensormill {
namespace {

constexpr int64_t kMaxChunk = 1 << 20, kMaxBefore = 64, kMaxRounds = 256, kMaxBuckets = 1 << 20;
constexpr int64_t kMaxRotations = int64_t{1} << 28;

Names names(bool axial) {
  Names names{
      "reformer.",
      {{"embeddings.word_embeddings", Role::kEmbedding},
       {"encoder.layers.{L}.attention.layer_norm", Role::kNormIn, 0},
       {"encoder.layers.{L}.attention.self_attention.query", Role::kQuery, 0},
       {"encoder.layers.{L}.attention.self_attention.key", Role::kKey, 0},
       {"encoder.layers.{L}.attention.self_attention.query_key", Role::kQueryKey, 0},
       {"encoder.layers.{L}.attention.self_attention.value", Role::kValue, 0},
       {"encoder.layers.{L}.attention.output.dense", Role::kAttentionOut, 0},
       {"encoder.layers.{L}.feed_forward.layer_norm", Role::kNormIn, 1},
       {"encoder.layers.{L}.feed_forward.dense.dense", Role::kUp, 1},
       {"encoder.layers.{L}.feed_forward.output.dense", Role::kDown, 1},
       {"encoder.layer_norm", Role::kFinalNorm},
       {"lm_head.decoder", Role::kHead},
       {"lm_head.bias", Role::kHeadBias}},
      {"lm_head.decoder.bias", "encoder.layers.{L}.attention.self_attention.mask_value_float16",
       "encoder.layers.{L}.attention.self_attention.mask_value_float32",
       "encoder.layers.{L}.attention.self_attention.self_mask_value_float16",
       "encoder.layers.{L}.attention.self_attention.self_mask_value_float32"}};
  if (axial) {
    names.rows.push_back({"embeddings.position_embeddings.weights.0", Role::kPositions});
    names.rows.push_back({"embeddings.position_embeddings.weights.1", Role::kSecondPositions});
  } else {
    names.rows.push_back({"embeddings.position_embeddings.embedding", Role::kPositions});
  }
  return names;
}

// Positions that the model has rows for.
int32_t read_positions(ConfigReader& config, StackSpec& stack) {
  EmbeddingSpec& embedding = stack.embedding;
  embedding.position_rows = config.integer("max_position_embeddings", 1, kMaxPositions);
  config.without_effect({"axial_pos_shape", "axial_pos_embds_dim", "axial_norm_std"});
  if (config.flag("sinusoidal_pos_embds", false)) {
    config.unsupported("sinusoidal_pos_embds", "false");
  }
  if (!config.flag("axial_pos_embds", true)) return embedding.position_rows;
  const std::vector<int32_t> shape = config.ids("axial_pos_shape");
  const std::vector<int32_t> widths = config.ids("axial_pos_embds_dim");
  if (shape.size() != 2) config.unsupported("axial_pos_shape", "two axes");
  if (std::min(shape[0], shape[1]) < 1 || int64_t{shape[0]} * shape[1] > kMaxPositions) {
    config.fail("axial_pos_shape", fmt::format("a product from 1 to {}", kMaxPositions));
  }
  if (widths.size() != 2 || std::min(widths[0], widths[1]) < 1 ||
      int64_t{widths[0]} + widths[1] != stack.width) {
    config.fail("axial_pos_embds_dim",
                fmt::format("two numbers with the sum hidden_size, which is {}", stack.width));
  }
  embedding.table = PositionTable::kAxial;
  for (size_t axis = 0; axis < 2; ++axis) embedding.axial[axis] = {shape[axis], widths[axis]};
  return embedding.position_rows = std::min(embedding.position_rows, shape[0] * shape[1]);
}

ChunkSpec read_chunk(ConfigReader& config, const std::string& kind) {
  ChunkSpec chunk;
  chunk.length = config.integer(kind + "_attn_chunk_length", 1, kMaxChunk);
  chunk.before = config.integer(kind + "_num_chunks_before", 0, kMaxBefore, 1);
  const std::string after = kind + "_num_chunks_after";
  if (config.integer(after, 0, kMaxBefore, 0) != 0) config.fail(after, "0 in a decoder");
  return chunk;
}

HashSpec read_hash(ConfigReader& config, int32_t max_positions) {
  HashSpec hash;
  hash.rounds = config.integer("num_hashes", 1, kMaxRounds, 1);
  hash.buckets = config.ids("num_buckets");
  hash.positions = max_positions;
  const bool even = std::all_of(hash.buckets.begin(), hash.buckets.end(), [](int32_t factor) {
    return factor >= 2 && factor % 2 == 0 && factor <= kMaxBuckets;
  });
  double product = 1;
  for (const int32_t factor : hash.buckets) product *= factor;
  if (!even || product > kMaxPositions || (config.has("num_buckets") && hash.buckets.empty())) {
    config.fail("num_buckets",
                fmt::format("an even number of 2 to {}, or factors of that kind", kMaxBuckets));
  }
  if (config.has("hash_seed")) {
    hash.seed = static_cast<uint32_t>(config.integer("hash_seed", 0, INT32_MAX));
  }
  return hash;
}

// Both kinds of attention as far as the layers use them; chunks lie on one grid for both.
struct Attentions {
  AttentionSpec local, hashed;
  int32_t max_positions = 0;
};

Attentions read_attentions(ConfigReader& config, const std::set<std::string>& kinds,
                           int32_t positions) {
  config.without_effect({"local_attn_chunk_length", "local_num_chunks_before",
                         "local_num_chunks_after", "lsh_attn_chunk_length", "lsh_num_chunks_before",
                         "lsh_num_chunks_after", "num_hashes", "num_buckets", "hash_seed"});
  Attentions both;
  AttentionSpec& local = both.local;
  local.core = Core::kLocal;
  local.heads = local.kv_heads = config.integer("num_attention_heads", 1, kMaxHeads);
  local.dim = config.integer("attention_head_size", 1, kMaxHeadDim);
  local.scale = 1 / std::sqrt(static_cast<float>(local.dim));
  both.hashed = local;
  both.hashed.core = Core::kHashed;
  int64_t multiple = 1;
  int32_t shortest = INT32_MAX;
  const auto read = [&](AttentionSpec& attention, const std::string& kind) {
    if (!kinds.contains(kind)) return;
    attention.chunk = read_chunk(config, kind);
    multiple = std::lcm(multiple, int64_t{attention.chunk.length});
    shortest = std::min(shortest, attention.chunk.length);
  };
  read(local, "local");
  read(both.hashed, "lsh");
  for (AttentionSpec* attention : {&local, &both.hashed}) {
    attention->chunk.pad_above = shortest;
    attention->chunk.pad_to = static_cast<int32_t>(std::min(multiple, kMaxPositions));
  }
  both.max_positions = multiple <= positions ? positions / static_cast<int32_t>(multiple) *
                                                   static_cast<int32_t>(multiple)
                                             : std::min(positions, shortest);
  if (!kinds.contains("lsh")) return both;
  both.hashed.hash = read_hash(config, config.integer("max_position_embeddings", 1, kMaxPositions));
  return both;
}

}  // namespace

FamilyModel describe_reformer(ConfigReader& config) {
  TransformerSpec spec;
  StackSpec& stack = spec.stacks.emplace_back();
  stack.width = config.integer("hidden_size", 1, kMaxWidth);
  stack.streams = 2;
  stack.embedding.vocabulary = config.integer("vocab_size", 1, kMaxVocabulary);
  const int32_t positions = read_positions(config, stack);
  spec.head.bias = true;
  if (config.flag("tie_word_embeddings", false)) {
    config.fail("tie_word_embeddings", "false: the head reads rows of 2 * hidden_size");
  }
  if (!config.flag("is_decoder", false)) config.unsupported("is_decoder", "true");

  const std::vector<std::string> layers = config.texts("attn_layers");
  const auto known = [](const std::string& kind) { return kind == "local" || kind == "lsh"; };
  if (layers.empty() || layers.size() > kMaxLayers) {
    config.fail("attn_layers", fmt::format("1 to {} layers", kMaxLayers));
  }
  if (!std::all_of(layers.begin(), layers.end(), known)) {
    config.unsupported("attn_layers", "layers \"local\" and \"lsh\"");
  }
  const auto count = static_cast<int32_t>(layers.size());
  if (config.integer("num_hidden_layers", 1, kMaxLayers, count) != count) {
    config.fail("num_hidden_layers", fmt::format("{}, as attn_layers says", count));
  }
  const Attentions attentions = read_attentions(config, {layers.begin(), layers.end()}, positions);
  spec.max_positions = attentions.max_positions;
  const auto hashed = std::count(layers.begin(), layers.end(), "lsh");
  const int64_t drawn = attentions.hashed.hash.seed ? 1 : hashed;
  if (hashed > 0 && rotation_values(attentions.hashed) > kMaxRotations / drawn) {
    config.unsupported("num_buckets", "random rotations of at most 1 GiB");
  }
  MlpSpec mlp;
  mlp.width = config.integer("feed_forward_size", 1, kMaxInnerWidth);
  mlp.activation = read_activation(config, "hidden_act", "relu");
  mlp.bias = true;
  const NormSpec norm{NormKind::kLayer, config.number("layer_norm_eps", 0, 1, 1e-12F), true};
  stack.final_norm = norm;
  stack.layers = uniform_layers(count);
  const std::pair<const char*, const AttentionSpec*> kinds[] = {{"local", &attentions.local},
                                                                {"lsh", &attentions.hashed}};
  for (const auto& [kind, attention] : kinds) {
    if (std::count(layers.begin(), layers.end(), kind) == 0) continue;
    for (size_t i = 0; i < layers.size(); ++i) {
      if (layers[i] == kind) stack.layers[i].kind = static_cast<uint16_t>(stack.kinds.size());
    }
    stack.kinds.push_back(pre_norm_layer(*attention, mlp, norm));
  }
  // Dropout and sizes of pieces; the last two are of early versions, which name them anew by kind.
  config.without_effect({"lsh_attention_probs_dropout_prob", "local_attention_probs_dropout_prob",
                         "chunk_size_lm_head", "num_chunks_before", "num_chunks_after"});
  return {std::move(spec), names(stack.embedding.table == PositionTable::kAxial)};
}

}  // namespace tensormill
