#include "models/weight_plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "base/error.h"
#include "models/stored_names.h"

namespace tensormill {
namespace {

// The pattern with a number in place of `{L}` (or another such mark).
std::string numbered(std::string_view pattern, size_t number, std::string_view mark = "{L}") {
  std::string name(pattern);
  const size_t at = name.find(mark);
  if (at != std::string::npos) name.replace(at, mark.size(), std::to_string(number));
  return name;
}

bool has_mark(std::string_view pattern, std::string_view mark) {
  return pattern.find(mark) != std::string_view::npos;
}

// Where the rows of a tensor stand in a product.
struct Place {
  int32_t first_row = 0, step = 1;
  const AttentionSpec* attention = nullptr;
  Halves halves = Halves::kNone;
  bool unit_rows = false;
  int32_t copy = 0;
};

class Planner {
 public:
  Planner(const FamilyModel& model, const TensorIndex& checkpoint, ModelWeights& weights)
      : model_(model),
        stack_(model.spec.stacks.front()),
        stored_(checkpoint, model.names.prefix),
        weights_(weights) {}

  std::vector<PlannedTensor> run() {
    std::vector<const std::vector<BranchSpec>*> kinds(weights_.layers.size());
    for (const LayerRef& ref : stack_.layers) kinds[ref.weights] = &stack_.kinds[ref.kind];
    for (const NameRow& row : model_.names.rows) {
      if (!has_mark(row.pattern, "{L}")) add_model(row);
    }
    for (size_t layer = 0; layer < kinds.size(); ++layer) {
      for (const NameRow& row : model_.names.rows) {
        const auto branch = static_cast<size_t>(row.branch);
        if (!has_mark(row.pattern, "{L}") || branch >= kinds[layer]->size()) continue;
        add_branch(row, numbered(row.pattern, layer), (*kinds[layer])[branch],
                   weights_.layers[layer].branches[branch]);
      }
    }
    return std::move(plan_);
  }

 private:
  void add_model(const NameRow& row) {
    const std::string name(row.pattern);
    const EmbeddingSpec& embedding = stack_.embedding;
    const HeadSpec& head = model_.spec.head;
    const Place to_head{0, 1, nullptr, Halves::kNone, head.unit_rows};
    switch (row.role) {
      case Role::kEmbedding:
        table(name + ".weight", weights_.embedding, {embedding.vocabulary, embedding_width()});
        // A tied head is packed from the same tensor.
        if (head.tied) weight(row, name, weights_.head, to_head, embedding.vocabulary);
        break;
      case Role::kEmbeddingNorm:
        norm(name, weights_.embedding_norm);
        break;
      case Role::kPositions:
        positions(name, 0);
        break;
      case Role::kSecondPositions:
        positions(name, 1);
        break;
      case Role::kProjectIn:
        if (embedding.width > 0) product(row, name, weights_.project_in, {}, stack_.width);
        break;
      case Role::kProjectOut:
        if (embedding.width > 0) product(row, name, weights_.project_out, {}, embedding.width);
        break;
      case Role::kFinalNorm:
        norm(name, weights_.final_norm);
        break;
      case Role::kHead:
        if (!head.tied) weight(row, name, weights_.head, to_head, embedding.vocabulary);
        bias(row, name, weights_.head, to_head, embedding.vocabulary);
        break;
      case Role::kHeadBias:
        if (stored_alone(row.pattern)) head_bias(name);
        break;
      default:
        throw_error(ErrorKind::kInternal, "{}: its role belongs to a layer", name);
    }
  }

  void add_branch(const NameRow& row, const std::string& name, const BranchSpec& spec,
                  BranchWeights& weights) {
    if (row.role == Role::kNormIn) return norm(name, weights.in);
    if (row.role == Role::kNormOut) return norm(name, weights.out);
    if (row.role == Role::kNormSum) return norm(name, weights.sum);
    const auto* attention = std::get_if<AttentionSpec>(&spec.body);
    if (attention != nullptr && attention->latent.rank > 0) {
      add_latent(row, name, *attention, weights);
    } else if (attention != nullptr) {
      add_attention(row, name, *attention, weights);
    } else {
      add_experts(row, name, std::get<MlpSpec>(spec.body), weights);
    }
  }

  void add_latent(const NameRow& row, const std::string& name, const AttentionSpec& spec,
                  BranchWeights& weights) {
    LatentWeights& to = weights.latent;
    const LatentSpec& latent = spec.latent;
    const int32_t rope = spec.rope.dim, query = latent.plain + rope;
    const int32_t both = latent.plain + latent.values;
    switch (row.role) {
      case Role::kQueryDown:
        return product(row, name, to.query_down, {}, latent.query_rank);
      case Role::kQueryDownNorm:
        return norm(name, to.query_norm);
      case Role::kLatentNorm:
        return norm(name, to.norm);
      case Role::kQuery:
        for (int32_t h = 0; h < spec.heads; ++h) {
          part(name, to.query, {h, spec.heads * query, h * query, latent.plain, false});
          part(name, to.query_rope, {h, spec.heads * query, h * query + latent.plain, rope, false});
        }
        return;
      case Role::kLatent:
        part(name, to.latent, {0, latent.rank + rope, 0, latent.rank, false});
        return part(name, to.key_rope, {0, latent.rank + rope, latent.rank, rope, false});
      case Role::kFromLatent:
        for (int32_t h = 0; h < spec.heads; ++h) {
          part(name, to.absorb, {h, spec.heads * both, h * both, latent.plain, true});
          part(name, to.expand,
               {h, spec.heads * both, h * both + latent.plain, latent.values, false});
        }
        return;
      case Role::kAttentionOut:
        return product(row, name, weights.second, {0, 1, &spec}, stack_.width);
      default:
        throw_error(ErrorKind::kInternal, "{}: its role has no place in latent attention", name);
    }
  }

  // Some rows of a tensor that are a whole weight, or that weight's columns.
  struct StoredRows {
    int32_t copy;
    int64_t stored;
    int32_t from, count;
    bool transposed;
  };
  void part(const std::string& name, Linear& linear, const StoredRows& rows) {
    const auto fill = [&](PlannedTensor& tensor, PlannedTensor::Target target) {
      tensor.target = target;
      tensor.linear = &linear;
      tensor.copy = rows.copy;
      tensor.from = rows.from;
      tensor.count = rows.count;
      tensor.transposed = rows.transposed;
    };
    const LinearSpec& spec = linear.spec();
    fill(add(name + ".weight", {rows.stored, rows.transposed ? spec.outputs : spec.inner}),
         PlannedTensor::Target::kWeight);
    if (spec.bias) fill(add(name + ".bias", {rows.stored}), PlannedTensor::Target::kBias);
  }

  // A layer may have one MLP where another has many.
  void add_experts(const NameRow& row, const std::string& name, const MlpSpec& spec,
                   BranchWeights& weights) {
    const int32_t count = spec.experts.count;
    const bool each = has_mark(name, "{E}");
    if (row.role == Role::kRouter) {
      if (count > 0) product(row, name, weights.router, {}, count);
    } else if (row.role == Role::kRouterBias) {
      if (spec.experts.bias) add_to(weights.router, name, count);
    } else if (!each) {
      if (count <= 1) add_mlp(row, name, spec, weights, 0);
    } else {
      for (int32_t e = 0; e < count; ++e) {
        add_mlp(row, numbered(name, static_cast<size_t>(e), "{E}"), spec, weights, e);
      }
    }
  }

  void add_to(Linear& linear, const std::string& name, int64_t rows) {
    PlannedTensor& tensor = add(name, {rows});
    tensor.target = PlannedTensor::Target::kBias;
    tensor.linear = &linear;
  }

  void add_attention(const NameRow& row, const std::string& name, const AttentionSpec& spec,
                     BranchWeights& weights) {
    const int32_t queries = spec.query_rows(), keys = spec.key_rows(), values = spec.value_rows();
    switch (row.role) {
      case Role::kQueryNorm:
        return head_norm(name, weights.q_norm, spec, spec.heads);
      case Role::kKeyNorm:
        return head_norm(name, weights.k_norm, spec, spec.kv_heads);
      case Role::kQuery:
        if (keys == 0) return;
        return product(row, name, weights.first, {0, 1, &spec}, queries);
      case Role::kQueryKey:
        if (keys > 0) return;
        return product(row, name, weights.first, {0, 1, &spec}, queries);
      case Role::kKey:
        if (keys == 0) return;
        return product(row, name, weights.first, {queries, 1, &spec}, keys);
      case Role::kValue:
        return product(row, name, weights.first, {queries + keys, 1, &spec}, values);
      case Role::kQueryKeyValue:
        return product(row, name, weights.first, {0, 1, &spec}, spec.qkv_rows());
      case Role::kAttentionOut:
        return product(row, name, weights.second, {0, 1, &spec}, stack_.width);
      default:
        throw_error(ErrorKind::kInternal, "{}: its role has no place in attention", name);
    }
  }

  void add_mlp(const NameRow& row, const std::string& name, const MlpSpec& spec,
               BranchWeights& weights, int32_t expert) {
    const auto place = [&](int32_t first_row, int32_t step, Halves halves = Halves::kNone) {
      return Place{first_row, step, nullptr, halves, false, expert};
    };
    switch (row.role) {
      case Role::kGate:
        return product(row, name, weights.first, place(0, 2), spec.width);
      case Role::kUp:
        if (spec.gated) return product(row, name, weights.first, place(1, 2), spec.width);
        return product(row, name, weights.first, place(0, 1), spec.width);
      case Role::kGateUp:
        return product(row, name, weights.first, place(0, 1, Halves::kGateUp), 2 * spec.width);
      case Role::kUpGate:
        return product(row, name, weights.first, place(0, 1, Halves::kUpGate), 2 * spec.width);
      case Role::kDown:
        return product(row, name, weights.second, place(0, 1), stack_.width);
      default:
        throw_error(ErrorKind::kInternal, "{}: its role has no place in an MLP", name);
    }
  }

  int32_t embedding_width() const {
    return stack_.embedding.width > 0 ? stack_.embedding.width : stack_.width;
  }

  // Whether the checkpoint holds the head's bias under a name of its own.
  bool stored_alone(std::string_view name) const {
    return model_.spec.head.bias && stored_.find(name) != nullptr;
  }

  bool head_bias_stored_alone() const {
    return std::any_of(model_.names.rows.begin(), model_.names.rows.end(), [&](const NameRow& row) {
      return row.role == Role::kHeadBias && stored_alone(row.pattern);
    });
  }

  // The tensor under its name by the rule of StoredNames.
  PlannedTensor& add(const std::string& name, std::vector<int64_t> shape) {
    PlannedTensor& tensor = plan_.emplace_back();
    tensor.stored = stored_.find(name);
    tensor.name =
        tensor.stored != nullptr ? tensor.stored->name : std::string(model_.names.prefix) + name;
    tensor.shape = std::move(shape);
    return tensor;
  }

  PlannedTensor& table(const std::string& name, Buffer& buffer, std::vector<int64_t> shape) {
    PlannedTensor& tensor = add(name, std::move(shape));
    tensor.target = PlannedTensor::Target::kTable;
    tensor.buffer = &buffer;
    return tensor;
  }

  void positions(const std::string& name, int32_t axis) {
    const EmbeddingSpec& embedding = stack_.embedding;
    if (embedding.position_rows == 0) return;
    if (embedding.table == PositionTable::kLearned) {
      table(name + ".weight", weights_.positions[axis], {embedding.position_rows, stack_.width});
    } else if (embedding.table == PositionTable::kAxial) {
      const auto [rows, width] = embedding.axial[axis];
      PlannedTensor& tensor = table(
          name, weights_.positions[axis],
          axis == 0 ? std::vector<int64_t>{rows, 1, width} : std::vector<int64_t>{1, rows, width});
      tensor.row_width = stack_.width;
      tensor.first_column = axis == 0 ? 0 : embedding.axial[0].width;
    }
  }

  void norm(const std::string& name, NormWeights& norm) { this->norm(name, norm, {norm.width}, 0); }

  // `shape` as stored; its values stand from `first` on.
  void norm(const std::string& name, NormWeights& norm, const std::vector<int64_t>& shape,
            int32_t first) {
    if (norm.spec.kind == NormKind::kNone) return;
    const auto fill = [&](const char* suffix, Buffer& buffer) -> PlannedTensor& {
      PlannedTensor& tensor = add(name + suffix, shape);
      tensor.target = PlannedTensor::Target::kNorm;
      tensor.buffer = &buffer;
      tensor.first_row = first;
      return tensor;
    };
    if (norm.spec.weight) fill(".weight", norm.weight).plus = norm.spec.one_plus ? 1 : 0;
    if (norm.spec.shift) fill(".bias", norm.shift);
  }

  // Of the queries or keys of `heads` heads: one tensor, or one for each head.
  void head_norm(const std::string& name, NormWeights& norm, const AttentionSpec& spec,
                 int32_t heads) {
    if (spec.norm_span != HeadNorm::kEachHead) return this->norm(name, norm);
    if (!has_mark(name, "{H}")) return this->norm(name, norm, {heads, spec.dim}, 0);
    for (int32_t h = 0; h < heads; ++h) {
      this->norm(numbered(name, static_cast<size_t>(h), "{H}"), norm, {spec.dim}, h * spec.dim);
    }
  }

  void product(const NameRow& row, const std::string& name, Linear& linear, const Place& place,
               int64_t rows) {
    weight(row, name, linear, place, rows);
    bias(row, name, linear, place, rows);
  }

  void weight(const NameRow& row, const std::string& name, Linear& linear, const Place& place,
              int64_t rows) {
    const int64_t inner = linear.spec().inner;
    PlannedTensor& tensor =
        add(name + ".weight", row.transposed ? std::vector{inner, rows} : std::vector{rows, inner});
    // A head usually stands outside the base model: what is missing goes by that name.
    if (tensor.stored == nullptr && row.role == Role::kHead) tensor.name = name + ".weight";
    fill(tensor, PlannedTensor::Target::kWeight, row, linear, place);
  }

  void bias(const NameRow& row, const std::string& name, Linear& linear, const Place& place,
            int64_t rows) {
    if (!linear.spec().bias || row.role == Role::kRouter) return;
    if (row.role == Role::kHead && head_bias_stored_alone()) return;
    fill(add(name + ".bias", {rows}), PlannedTensor::Target::kBias, row, linear, place);
  }

  static void fill(PlannedTensor& tensor, PlannedTensor::Target target, const NameRow& row,
                   Linear& linear, const Place& place) {
    tensor.target = target;
    tensor.linear = &linear;
    tensor.first_row = place.first_row;
    tensor.step = place.step;
    tensor.copy = place.copy;
    tensor.attention = place.attention;
    tensor.transposed = row.transposed;
    tensor.unit_rows = place.unit_rows;
    tensor.halves = place.halves;
    tensor.map = row.map;
  }

  void head_bias(const std::string& name) {
    PlannedTensor& tensor = add(name, {stack_.embedding.vocabulary});
    tensor.target = PlannedTensor::Target::kBias;
    tensor.linear = &weights_.head;
  }

  std::vector<PlannedTensor> plan_;
  const FamilyModel& model_;
  const StackSpec& stack_;
  const StoredNames stored_;
  ModelWeights& weights_;
};

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

bool is_weight_type(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16 || type == DType::kF64;
}

// What may stand in a checkpoint beside the weights.
class Ignored {
 public:
  explicit Ignored(const FamilyModel& model) : names_(model.names.prefix) {
    for (const std::string_view pattern : model.names.buffers) {
      if (pattern.ends_with('*')) {
        starts_.push_back(names_.core(pattern.substr(0, pattern.size() - 1)));
        continue;
      }
      for (size_t layer = 0; layer < model.spec.stacks.front().layers.size(); ++layer) {
        whole_.insert(names_.core(numbered(pattern, layer)));
      }
    }
    if (!model.spec.head.tied) return;
    for (const NameRow& row : model.names.rows) {
      if (row.role == Role::kHead) whole_.insert(names_.core(std::string(row.pattern) + ".weight"));
    }
  }

  // Masks and positions are no weights, whatever they are called.
  bool has(const NamedTensor& tensor) const {
    if (tensor.view.type == DType::kBool) return true;
    const std::string core = names_.core(tensor.name);
    return whole_.contains(core) ||
           std::any_of(starts_.begin(), starts_.end(),
                       [&](const std::string& start) { return core.starts_with(start); });
  }

 private:
  CoreNames names_;
  std::set<std::string, std::less<>> whole_;
  std::vector<std::string> starts_;
};

// Of each kind of trouble: a wrong config.json puts every tensor of a large model on the list.
constexpr size_t kMaxNamed = 8;

void append(std::string& message, const char* title, const std::vector<std::string>& items) {
  if (items.empty()) return;
  const size_t shown = std::min(items.size(), kMaxNamed);
  message +=
      fmt::format("{}{}: {}", message.empty() ? "" : "; ", title,
                  fmt::join(items.begin(), items.begin() + static_cast<ptrdiff_t>(shown), ", "));
  if (shown < items.size()) message += fmt::format(" and {} more", items.size() - shown);
}

}  // namespace

std::vector<PlannedTensor> plan_weights(const FamilyModel& model, const TensorIndex& checkpoint,
                                        ModelWeights& weights) {
  return Planner(model, checkpoint, weights).run();
}

void verify(const FamilyModel& model, const TensorIndex& checkpoint,
            const std::vector<PlannedTensor>& plan) {
  std::vector<std::string> missing, misshapen, unused;
  std::set<std::string, std::less<>> used, reported;
  for (const PlannedTensor& tensor : plan) {
    used.insert(tensor.name);
    if (!reported.insert(tensor.name).second) continue;  // a tied head reads it again
    if (tensor.stored == nullptr) {
      missing.push_back(fmt::format("{} {}", tensor.name, shape_text(tensor.shape)));
    } else if (tensor.stored->view.shape != tensor.shape) {
      misshapen.push_back(fmt::format("{} is {}, config.json says {}", tensor.name,
                                      shape_text(tensor.stored->view.shape),
                                      shape_text(tensor.shape)));
    } else if (!is_weight_type(tensor.stored->view.type)) {
      misshapen.push_back(fmt::format("{} is {}, expected f32, f16, bf16 or f64", tensor.name,
                                      dtype_name(tensor.stored->view.type)));
    }
  }
  const Ignored ignored(model);
  for (const NamedTensor& tensor : checkpoint.tensors()) {
    if (!used.contains(tensor.name) && !ignored.has(tensor)) unused.push_back(tensor.name);
  }
  std::string message;
  append(message, "missing tensors", missing);
  append(message, "tensors of the wrong shape or type", misshapen);
  append(message, "tensors that this family doesn't use", unused);
  if (message.empty()) return;
  const std::vector<NamedTensor>& all = checkpoint.tensors();
  throw_error(ErrorKind::kArtifactInvalid, "{}: {}",
              all.empty() ? "the checkpoint" : all.front().file, message);
}

WeightFormat stored_format(const std::vector<PlannedTensor>& plan) {
  bool f16 = false, bf16 = false, f32 = false;
  for (const PlannedTensor& tensor : plan) {
    if (tensor.target != PlannedTensor::Target::kWeight) continue;
    f16 |= tensor.stored->view.type == DType::kF16;
    bf16 |= tensor.stored->view.type == DType::kBF16;
    f32 |= tensor.stored->view.type == DType::kF32 || tensor.stored->view.type == DType::kF64;
  }
  if (f32 || (f16 && bf16)) return WeightFormat::kF32;
  return f16 ? WeightFormat::kF16 : WeightFormat::kBF16;
}

}  // namespace tensormill
