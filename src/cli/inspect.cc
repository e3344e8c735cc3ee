#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "artifacts/adapter.h"
#include "artifacts/tensor_index.h"
#include "artifacts/weight_files.h"
#include "base/error.h"
#include "cli/command.h"
#include "cli/load_model.h"
#include "models/describe.h"
#include "models/model_impl.h"
#include "models/open_weights.h"
#include "models/properties.h"
#include "models/stored_names.h"
#include "models/weight_format.h"
#include "models/weight_plan.h"
#include "models/workspace.h"
#include "tasks/place.h"

namespace tensormill {
namespace {

std::string size_text(int64_t bytes) {
  constexpr double kMiB = 1024.0 * 1024;
  constexpr double kGiB = 1024 * kMiB;
  const auto size = static_cast<double>(bytes);
  if (size >= kGiB) return fmt::format("{:.2f} GiB", size / kGiB);
  if (size >= kMiB) return fmt::format("{:.1f} MiB", size / kMiB);
  return fmt::format("{:.1f} KiB", size / 1024);
}

void line(const char* name, const std::string& value) {
  fmt::print("{:<16} {}\n", name, value);
}

const char* yes_no(bool value) {
  return value ? "yes" : "no";
}

std::string attention_text(const TransformerSpec& spec) {
  std::string text;
  for_each_attention(spec, [&](const AttentionSpec& a) {
    if (!text.empty()) return;
    if (a.latent.rank > 0) {
      text = fmt::format("{} heads of {}, {} rotary, on a latent of {}", a.heads,
                         a.latent.plain + a.rope.dim, a.rope.dim, a.latent.rank);
      return;
    }
    text = fmt::format("{} heads of {} on {} of keys and values", a.heads, a.dim, a.kv_heads);
    if (a.core != Core::kDense) {
      text +=
          fmt::format(", in chunks of {} tokens with {} before", a.chunk.length, a.chunk.before);
    }
    if (a.rope.dim > 0) text += fmt::format(", {} of {} rotary", a.rope.dim, a.dim);
  });
  return text;
}

std::string experts_text(const TransformerSpec& spec) {
  for (const std::vector<BranchSpec>& kind : spec.stacks.front().kinds) {
    for (const BranchSpec& branch : kind) {
      const auto* mlp = std::get_if<MlpSpec>(&branch.body);
      if (mlp == nullptr || mlp->experts.count < 2) continue;
      return fmt::format("{} of {}, each of width {}{}", mlp->experts.active, mlp->experts.count,
                         mlp->width, branch.with_next ? ", and one that is shared" : "");
    }
  }
  return "";
}

// What the folder's weights are in, once they have been checked against config.json.
std::string stored_text(const Description& description, const TensorIndex* checkpoint,
                        const ModelWeights& shapes, const KernelTable& kernels,
                        Quantization quantize, WeightFormat* format) {
  if (checkpoint == nullptr) return "no weights here: --random-weights can run it";
  ModelWeights unused = lay_out(description.model.spec);
  const std::vector<PlannedTensor> plan = plan_weights(description.model, *checkpoint, unused);
  verify(description.model, *checkpoint, plan);
  *format = stored_format(plan);
  const bool whole = std::none_of(plan.begin(), plan.end(), [](const PlannedTensor& tensor) {
    return tensor.stored->view.data == nullptr;
  });
  return fmt::format("{} tensors, all accounted for; {} as {}{} ({})", checkpoint->tensors().size(),
                     whole ? "loads" : "their data is not there, it would load",
                     dtype_name(plain_type(*format)),
                     quantize == Quantization::kNone ? "" : " and int8",
                     size_text(weight_bytes(shapes, description.model.spec, *format, kernels)));
}

// What a token's keys and values take; empty where nothing is cached.
std::string cache_text(const TransformerSpec& spec, WeightFormat format,
                       std::optional<DType> chosen, const KernelTable& kernels) {
  const std::vector<CacheLayer> layers = cache_layers(spec);
  if (layers.empty()) return "";
  const DType type = chosen.value_or(plain_type(format));
  std::string others;
  for (const DType other : {DType::kF32, DType::kF16, DType::kBF16, DType::kI8}) {
    if (other == type || !keeps_cache(spec, format, other, kernels)) continue;
    others += fmt::format("{}{} {}", others.empty() ? "" : ", ", cache_type_name(other),
                          size_text(cache_bytes_per_token(layers, other)));
  }
  return fmt::format("{}, {} a token ({})", cache_type_name(type),
                     size_text(cache_bytes_per_token(layers, type)), others);
}

void print_memory(const Description& description, const ModelWeights& shapes, WeightFormat stored,
                  std::optional<DType> cache_type, const KernelTable& kernels) {
  constexpr StepLimits kStep{512, 64, 64, 4096};
  const TransformerSpec& spec = description.model.spec;
  fmt::print("\n{:<16} {:>12} {:>14} {:>22}\n", "memory as", "weights", "KV a token",
             "512 rows in a step");
  const auto row = [&](const std::string& name, const ModelWeights& weights, WeightFormat format,
                       Quantization quantize) {
    fmt::print("{:<16} {:>12} {:>14} {:>22}\n", name,
               size_text(weight_bytes(weights, spec, format, kernels)),
               size_text(cache_bytes_per_token(cache_layers(spec),
                                               cache_type.value_or(plain_type(format)))),
               size_text(static_cast<int64_t>(
                   workspace_bytes(workspace_sizes(spec, format, kernels, kStep, quantize)))));
  };
  for (const WeightFormat format : {WeightFormat::kF32, WeightFormat::kF16, WeightFormat::kBF16}) {
    row(dtype_name(plain_type(format)), shapes, format, Quantization::kNone);
  }
  if (!kernels.stores(WeightFormat::kInt8)) return;
  row(fmt::format("int8, {}", dtype_name(plain_type(stored))),
      lay_out(spec, Quantization::kDynamicInt8), stored, Quantization::kDynamicInt8);
}

// How much of the products dynamic_int8 takes.
std::string quantized_text(const ModelWeights& weights) {
  int64_t quantized = 0, rest = 0;
  for_each_weight(
      weights,
      [&](const Linear& linear) {
        const LinearSpec& spec = linear.spec();
        (spec.int8 ? quantized : rest) += int64_t{spec.copies} * spec.outputs * spec.inner;
      },
      [](const NormWeights&) {});
  if (quantized == 0) return "dynamic_int8: nothing; every product keeps its type";
  constexpr double kPercent = 100;
  const double share =
      kPercent * static_cast<double>(quantized) / static_cast<double>(quantized + rest);
  return fmt::format(
      "dynamic_int8: {:.1f} % of the products' weights in 8 bits with a scale for each {} "
      "of a row{}",
      share, kInt8Group,
      rest == 0 ? ""
                : "; those of routers, latent and chunked attention and narrow embeddings keep "
                  "their type");
}

bool draws_own_rotations(const TransformerSpec& spec) {
  bool own = false;
  for_each_attention(spec, [&](const AttentionSpec& attention) {
    own |= attention.core == Core::kHashed && !attention.hash.seed;
  });
  return own;
}

// Why an option of serving can't be used with this model.
void print_limits(const TransformerSpec& spec, const ModelInfo& info, const KernelTable& kernels) {
  std::vector<std::pair<const char*, std::string>> limits;
  const char* reason =
      info.rules.recomputes ? "each step computes the whole sequence" : "attention is not causal";
  if (!info.rules.chunks) limits.emplace_back("prompt chunks", reason);
  if (!info.rules.shares_prefix) limits.emplace_back("shared prefixes", reason);
  if (draws_own_rotations(spec)) {
    limits.emplace_back("the reference's numbers",
                        "hash_seed is not set: it draws other rotations in every run");
  }
  if (info.dynamic_rope_from > 0) {
    limits.emplace_back("prefixes shared at any length",
                        "keys depend on the prompt's length beyond the trained one");
  }
  limits.emplace_back("tensor_parallel_degree over 1", "a model runs on one device");
  if (!kernels.stores(WeightFormat::kInt8)) {
    limits.emplace_back("dynamic_int8", "this device stores f32, f16 and bf16");
  }
  if (!keeps_cache(spec, info.format, DType::kI8, kernels)) {
    limits.emplace_back("kv_cache_dtype=int8", "this device keeps bf16, f16 or f32");
  }
  fmt::print("\nnot supported\n");
  for (const auto& [what, why] : limits) fmt::print("  {}: {}\n", what, why);
}

// Null: the folder has none.
std::unique_ptr<TensorIndex> weights_of(Description& description, const std::string& variant) {
  try {
    return open_weights(description.parts, variant, description, Open::kHeaders);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNotFound || !variant.empty()) throw;
    if (description.parts.adapter) throw;
    return nullptr;
  }
}

// What is taken off and put before the stored names; empty: nothing.
std::string prefix_text(const FamilyModel& model, const TensorIndex& checkpoint) {
  const CoreNames names(model.names.prefix);
  std::set<std::string> prefixes;
  ModelWeights unused = lay_out(model.spec);
  for (const PlannedTensor& tensor : plan_weights(model, checkpoint, unused)) {
    if (tensor.linear == &unused.head) continue;  // stands outside the base model
    const std::string core = names.core(tensor.name);
    if (tensor.name.ends_with(core)) {
      prefixes.insert(tensor.name.substr(0, tensor.name.size() - core.size()));
    }
  }
  std::string text;
  for (const std::string& prefix : prefixes) {
    text += fmt::format("{}\"{}\"", text.empty() ? "" : ", ", prefix);
  }
  return fmt::format("begin with {}; \"{}\" is usual", text, model.names.prefix);
}

// How the files of the folder were chosen and read.
void print_sources(const Description& description, const TensorIndex* checkpoint,
                   const std::string& variant) {
  const ModelFolder& parts = description.parts;
  if (checkpoint == nullptr) return;
  const WeightFiles files = choose_weight_files(parts.base, variant);
  line("weights", fmt::format("{}{}{}", files.file.string(), files.sharded ? ", shards" : "",
                              files.variant.empty() ? "" : ", variant " + files.variant));
  line("names", prefix_text(description.model, *checkpoint));
  if (!parts.adapter) return;
  const Adapter adapter = open_adapter(parts.given);
  line("adapter", fmt::format("LoRA{} of rank {}, alpha {:g}, {} modules; merged into {}",
                              adapter.config.decomposed ? " (DoRA)" : "", adapter.config.rank,
                              adapter.config.alpha, adapter.modules.size(), parts.base.string()));
  line("tokenizer", parts.tokenizer.string());
}

int inspect(const std::filesystem::path& folder, const CommonOptions& options) {
  Description description = describe_model(folder);
  const ModelChoices choices = choose_model(options, false);
  const CommonOptions& common = choices.common;
  const std::unique_ptr<TensorIndex> checkpoint = weights_of(description, common.variant);
  ThreadTeam team(1);
  const Place place = open_place(common.device, common.cpu_level, team);
  const KernelTable& kernels = *place.kernels;
  const ModelInfo& info = description.info;
  const Quantization quantize = choose_quantization(common);
  const ModelWeights shapes = lay_out(description.model.spec);
  const ModelWeights chosen = lay_out(description.model.spec, quantize);
  WeightFormat format = description.usual_format;
  const std::string stored =
      stored_text(description, checkpoint.get(), chosen, kernels, quantize, &format);
  line("family", info.model_type);
  line("task", "text generation");
  line("mode", fmt::format("fused kernels ({}), one rank{}", kernels.name,
                           info.rules.recomputes
                               ? "; nothing is cached: each token computes its whole sequence again"
                               : ""));
  line("parameters", fmt::format("{} ({:.1f} million)", info.parameters,
                                 static_cast<double>(info.parameters) / 1e6));
  line("layers", fmt::format("{} of width {}", info.layers, info.width));
  line("attention", attention_text(description.model.spec));
  if (const std::string experts = experts_text(description.model.spec); !experts.empty()) {
    line("experts", experts);
  }
  line("vocabulary", fmt::format("{}{}", info.vocabulary,
                                 description.model.spec.head.tied ? ", head tied to it" : ""));
  line("positions", fmt::format("{}{}", info.max_positions,
                                info.hard_position_limit ? ", learned: none beyond" : ""));
  line("end of text",
       info.eos_ids.empty() ? "none" : fmt::format("{}", fmt::join(info.eos_ids, ", ")));
  line("properties", fmt::format("{}", fmt::join(properties(description.model.spec), ", ")));
  print_sources(description, checkpoint.get(), common.variant);
  line("checkpoint", stored);
  if (quantize != Quantization::kNone) line("quantize", quantized_text(chosen));
  if (const std::string cache =
          cache_text(description.model.spec, format, choices.cache_type(), kernels);
      !cache.empty()) {
    line("keys and values", cache);
  }
  line("rules", fmt::format("prompts in chunks: {}; prefixes shared: {}; steps taken back: {}",
                            yes_no(info.rules.chunks), yes_no(info.rules.shares_prefix),
                            yes_no(info.rules.rewinds)));
  print_memory(description, shapes, format, choices.cache_type(), kernels);
  print_limits(description.model.spec, info, kernels);
  return 0;
}

}  // namespace

CommandRunner declare_inspect(CLI::App& app) {
  struct Options {
    CommonOptions common;
    std::string model;
  };
  const auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model,
                 "a folder, an archive, org/name of the hub or s3://bucket/prefix")
      ->required();
  options->common.declare(app);
  return [options] {
    return inspect(find_model_folder(options->model, options->common, ModelParts::kWithoutWeights),
                   options->common);
  };
}

}  // namespace tensormill
