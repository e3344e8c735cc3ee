#include "models/model.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "models/common_config.h"
#include "models/loader.h"
#include "models/model_impl.h"
#include "models/registry.h"
#include "models/weight_format.h"
#include "models/workspace.h"
#include "nn/rope.h"
#include "ops/linear.h"

namespace tensormill {
namespace {

template <class F>
void for_each_attention(const StackSpec& stack, F&& f) {
  for (const LayerRef& layer : stack.layers) {
    for (const BranchSpec& branch : stack.kinds[layer.kind]) {
      if (const auto* attention = std::get_if<AttentionSpec>(&branch.body)) f(*attention);
    }
  }
}

// Equal ropes share one table.
void lay_out_ropes(Model::Impl& model) {
  for (const std::vector<BranchSpec>& kind : model.stack().kinds) {
    std::vector<int32_t>& indices = model.rope_of.emplace_back();
    for (const BranchSpec& branch : kind) {
      indices.push_back(-1);
      const auto* attention = std::get_if<AttentionSpec>(&branch.body);
      if (attention == nullptr || attention->rope.dim == 0) continue;
      const auto same = std::find_if(model.ropes.begin(), model.ropes.end(),
                                     [&](const RopeTable& t) { return t.spec == attention->rope; });
      indices.back() = static_cast<int32_t>(same - model.ropes.begin());
      if (same == model.ropes.end()) {
        model.ropes.push_back({attention->rope, inverse_frequencies(attention->rope)});
      }
    }
  }
}

ModelInfo make_info(const Model::Impl& model, ConfigReader& config,
                    const std::filesystem::path& folder) {
  const StackSpec& stack = model.stack();
  ModelInfo info;
  info.model_type = config.text("model_type");
  info.vocabulary = stack.embedding.vocabulary;
  info.width = stack.width;
  info.layers = static_cast<int32_t>(stack.layers.size());
  info.max_positions = model.spec.max_positions;
  info.hard_position_limit = stack.embedding.position_rows > 0;
  info.dynamic_rope = has_dynamic_rope(model.spec);
  info.rules = rules(model.spec);
  info.parameters = count_parameters(model.spec);
  info.eos_ids = config.ids("eos_token_id");
  const std::vector<int32_t> bos = config.ids("bos_token_id"), pad = config.ids("pad_token_id");
  if (!bos.empty()) info.bos_id = bos.front();
  if (!pad.empty()) info.pad_id = pad.front();
  const std::filesystem::path generation = folder / "generation_config.json";
  if (std::filesystem::exists(generation)) {
    const Json json = read_json_file(generation);
    ConfigReader reader(json, generation.string());
    if (reader.has("eos_token_id")) info.eos_ids = reader.ids("eos_token_id");
  }
  return info;
}

// What a model without weights runs in: the type config.json names, or the usual one.
WeightFormat usual_format(ConfigReader& config) {
  const char* key = config.has("dtype") ? "dtype" : "torch_dtype";
  const std::string name = config.text(key, "bfloat16");
  const std::optional<WeightFormat> format = parse_weight_format(name);
  if (!format) config.unsupported(key, "float32, float16, bfloat16");
  return *format;
}

// Asked with the model's real arguments, so that no request finds out first.
void check_device(const Model::Impl& model, WeightFormat format, const std::string& file) {
  if (!model.kernels->stores(format)) {
    throw_error(ErrorKind::kUnsupported, "{}: {} kernels have no {} weights", file,
                model.kernels->name, dtype_name(plain_type(format)));
  }
  for_each_attention(model.stack(), [&](const AttentionSpec& spec) {
    if (model.kernels->runs(attention_shape(spec, format))) return;
    throw_error(ErrorKind::kUnsupported,
                "{}: {} kernels can't run attention of {} heads on {} of {} values each", file,
                model.kernels->name, spec.heads, spec.kv_heads, spec.dim);
  });
}

}  // namespace

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;

const ModelInfo& Model::info() const {
  return impl_->info;
}

std::unique_ptr<Model> Model::load(const std::filesystem::path& folder,
                                   const LoadOptions& options) {
  const std::filesystem::path file = folder / "config.json";
  const Json json = read_json_file(file);
  ConfigReader config(json, file.string());
  FamilyModel described = find_family(config.text("model_type"), file.string()).describe(config);
  auto impl = std::make_unique<Impl>();
  impl->spec = described.spec;
  impl->kernels = options.kernels;
  impl->stream = options.stream;
  read_common_keys(config);
  impl->info = make_info(*impl, config, folder);
  config.finish();
  lay_out_ropes(*impl);

  const LoadContext context{*options.kernels, options.stream, options.progress};
  if (options.random_weights) {
    const WeightFormat format = options.format ? *options.format : usual_format(config);
    check_device(*impl, format, file.string());
    impl->weights = random_weights(impl->spec, format, context);
  } else {
    const std::unique_ptr<TensorIndex> checkpoint = open_checkpoint(folder);
    impl->weights = load_weights(described, *checkpoint, options.format, context);
    check_device(*impl, impl->weights.format, file.string());
  }
  impl->info.format = impl->weights.format;
  impl->info.weight_bytes = weight_bytes(impl->weights, impl->spec, impl->weights.format);
  for_each_attention(impl->stack(), [&](const AttentionSpec& spec) {
    impl->cache_layers.push_back({spec.kv_heads, spec.dim});
  });
  impl->info.cache_bytes_per_token =
      cache_bytes_per_token(impl->cache_layers, plain_type(impl->weights.format));
  return std::make_unique<Model>(std::move(impl));
}

std::unique_ptr<KvCache> Model::make_cache(int32_t blocks) const {
  return std::make_unique<KvCache>(impl_->cache_layers, plain_type(impl_->weights.format), blocks);
}

std::unique_ptr<Workspace> Model::make_workspace(const StepLimits& limits) const {
  Workspace::Sizes sizes;
  sizes.limits = limits;
  sizes.width = impl_->stack().width;
  sizes.vocabulary = impl_->info.vocabulary;
  sizes.input = linear_input(impl_->weights.format);
  for (const RopeTable& rope : impl_->ropes) sizes.ropes.push_back(rope.spec.dim);
  for (const std::vector<BranchSpec>& kind : impl_->stack().kinds) {
    for (const BranchSpec& branch : kind) {
      if (const auto* attention = std::get_if<AttentionSpec>(&branch.body)) {
        const int32_t queries = attention->query_rows();
        sizes.queries = std::max(sizes.queries, queries);
        sizes.qkv = std::max(sizes.qkv, queries + 2 * attention->kv_rows());
        sizes.attention_scratch =
            std::max(sizes.attention_scratch,
                     impl_->kernels->attention_scratch(limits.rows, attention->heads,
                                                       attention->dim, limits.max_keys));
      } else {
        sizes.mlp = std::max(sizes.mlp, std::get<MlpSpec>(branch.body).width);
      }
    }
  }
  return std::make_unique<Workspace>(sizes);
}

}  // namespace tensormill
