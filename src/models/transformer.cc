#include <array>
#include <span>

#include "base/error.h"
#include "models/experts.h"
#include "models/latent_attention.h"
#include "models/model_impl.h"
#include "models/workspace.h"
#include "nn/chunked_attention.h"
#include "nn/rope.h"
#include "ops/attention.h"
#include "ops/embed.h"
#include "ops/linear.h"
#include "ops/residual.h"
#include "ops/rope.h"
#include "tensor/host_values.h"

namespace tensormill {
namespace {

// What the last branches left for the next seam to do to the residual.
struct Pending {
  const float* partial = nullptr;  // [rows, width]; null: nothing
  const float* bias = nullptr;     // [width]
  Norm out{}, sum{};
  float carry = 1, scale = 1;
};

// One step of one model: a loop over layers and branches.
class Step {
 public:
  Step(const Model::Impl& model, const RaggedBatch& batch, KvCache& cache, Workspace& workspace)
      : model_(model),
        kernels_(*model.kernels),
        stream_(model.stream),
        batch_(batch),
        cache_(cache),
        ws_(workspace.arrays()),
        limit_rows_(workspace.limits().rows),
        width_(model.stack().width),
        residual_(ws_.residual),
        types_(model.kernels->types(model.weights.format)),
        input_(types_.input) {}

  StepOutput run() {
    embed_tokens();
    turn_positions();
    for (const LayerRef& layer : model_.stack().layers) run_layer(layer);
    finish();
    return {ws_.logits, ws_.hidden};
  }

 private:
  void embed_tokens() {
    const EmbeddingSpec& spec = model_.stack().embedding;
    const ModelWeights& weights = model_.weights;
    EmbedArgs args{};
    args.tokens = batch_.tokens;
    args.history = batch_.history;
    args.history_stride = batch_.history_stride;
    args.slots = batch_.slots;
    args.table = weights.embedding.data();
    args.type = weights.table_type;
    args.scale = embedding_scale(spec, weights.table_type);
    args.residual = residual_;
    args.width = width_;
    args.live = batch_.rows;
    if (spec.width > 0) {
      args.residual = ws_.embedded;
      args.width = spec.width;
      embed(kernels_, args, stream_);
      project_in();
    } else {
      place_positions(args);
      embed(kernels_, args, stream_);
      if (model_.stack().streams > 1) {
        next_stream();
        args.residual = residual_;
        embed(kernels_, args, stream_);
      }
    }
    pending_.sum = weights.embedding_norm.norm();
  }

  void place_positions(EmbedArgs& args) const {
    if (model_.stack().embedding.table == PositionTable::kAxial) return place_axial(args);
    for (int axis = 0; axis < model_.spec.axes; ++axis) {
      args.position_table[axis] = model_.weights.positions[axis].data();
      args.positions[axis] = batch_.positions[axis];
    }
    args.position_offset = model_.stack().embedding.position_offset;
  }

  // On the host: with such positions goes attention that runs there too.
  void place_axial(EmbedArgs& args) const {
    const auto bound = static_cast<size_t>(batch_.rows.bound);
    const int32_t second = model_.stack().embedding.axial[1].rows;
    const HostValues<int32_t> positions(*model_.device, batch_.positions[0], bound);
    std::vector<int32_t> rows(2 * bound);
    for (size_t row = 0; row < bound; ++row) {
      rows[row] = positions[row] / second;
      rows[bound + row] = positions[row] % second;
    }
    model_.device->upload(ws_.axial, rows.data(), rows.size() * sizeof(int32_t));
    for (int table = 0; table < 2; ++table) {
      args.position_table[table] = model_.weights.positions[table].data();
      args.positions[table] = ws_.axial + table * bound;
    }
  }

  // The other of two residual streams.
  void next_stream() {
    const ptrdiff_t size = ptrdiff_t{limit_rows_} * width_;
    residual_ = residual_ == ws_.residual ? ws_.residual + size : ws_.residual;
  }

  // From token rows in ws_.embedded; positions are added after the projection.
  void project_in() {
    const ModelWeights& weights = model_.weights;
    const int32_t narrow = model_.stack().embedding.width;
    ResidualArgs copy{};
    copy.residual = ws_.embedded;
    copy.y = {ws_.normed, input_, narrow};
    copy.width = narrow;
    copy.live = batch_.rows;
    residual(kernels_, copy, stream_);
    LinearArgs product =
        weights.project_in.args(copy.y, {ws_.residual, DType::kF32, width_}, batch_.rows);
    if (weights.positions[0].data() != nullptr) {
      EmbedArgs places{};  // positions taken as tokens: their rows alone
      places.tokens = batch_.positions[0];
      places.table = weights.positions[0].as<std::byte>() +
                     static_cast<size_t>(model_.stack().embedding.position_offset) *
                         static_cast<size_t>(width_) * dtype_size(weights.table_type);
      places.type = weights.table_type;
      places.scale = 1;
      places.residual = ws_.partial[0];
      places.width = width_;
      places.live = batch_.rows;
      embed(kernels_, places, stream_);
      product.addend = ws_.partial[0];
    }
    linear(kernels_, product, stream_);
  }

  void turn_positions() {
    for (size_t i = 0; i < model_.ropes.size(); ++i) {
      const RopeTable& table = model_.ropes[i];
      RopeArgs args{};
      for (int axis = 0; axis < table.spec.axes; ++axis) {
        args.positions[axis] = batch_.positions[axis];
      }
      args.axes = table.spec.axes;
      args.length = rope_length(table.spec);
      args.slots = batch_.slots;
      args.prompts = batch_.prompts;
      args.inv_freq = table.inv_freq.as<float>();
      args.long_inv_freq = table.long_inv_freq.as<float>();
      args.dim = table.spec.dim;
      args.scale = table.spec.amplitude;
      args.theta = table.spec.theta;
      args.factor = table.spec.factor;
      args.original_length = table.spec.original_length;
      args.cos_sin = ws_.cos_sin[i];
      args.live = batch_.rows;
      rope(kernels_, args, stream_);
    }
  }

  void run_layer(const LayerRef& layer) {
    const std::vector<BranchSpec>& branches = model_.stack().kinds[layer.kind];
    const LayerWeights& weights = model_.weights.layers[layer.weights];
    for (size_t b = 0; b < branches.size(); ++b) {
      const bool joins = b > 0 && branches[b - 1].with_next;
      if (const auto* attention = std::get_if<AttentionSpec>(&branches[b].body)) {
        slopes_ = model_.slopes[layer.kind][b].as<float>();
        run_attention(*attention, branches[b], weights.branches[b], model_.rope_of[layer.kind][b],
                      joins);
      } else {
        run_mlp(std::get<MlpSpec>(branches[b].body), branches[b], weights.branches[b], joins);
      }
      if (branches[b].with_next) continue;
      pending_.sum = weights.branches[b].sum.norm();
      if (adds_at_once(branches[b], joins)) continue;
      pending_.partial = ws_.partial[current_];
      pending_.bias = weights.branches[b].second.bias();
      pending_.out = weights.branches[b].out.norm();
      pending_.carry = branches[b].carry;
      pending_.scale = branches[b].scale;
    }
  }

  void run_attention(const AttentionSpec& spec, const BranchSpec& branch,
                     const BranchWeights& weights, int32_t rope_index, bool joins) {
    const bool latent = spec.latent.rank > 0;
    if (latent) {
      ResidualArgs args = seam(weights.in.norm(), {ws_.normed, input_, width_});
      args.keep_y = args.keep_y || branch.keep_in;
      run_latent_products(context(), spec, weights.latent, args);
    } else {
      read_residual(branch, weights, {ws_.qkv, qkv_type(spec), spec.qkv_rows()});
    }
    if (spec.core != Core::kDense) return run_chunked(spec, branch, weights, joins);
    const KvView view = cache_.view(attention_index_++, batch_.tables, batch_.table_stride);
    ToCacheArgs store{};
    store.qkv = {ws_.qkv, qkv_type(spec), spec.qkv_rows()};
    store.heads = spec.heads;
    store.kv_heads = spec.kv_heads;
    store.dim = spec.dim;
    store.value_dim = spec.values();
    store.clip = spec.clip;
    store.q_norm = weights.q_norm.norm();
    store.k_norm = weights.k_norm.norm();
    store.norm_span = spec.norm_span;
    store.log_n = spec.log_n;
    if (rope_index >= 0) {
      store.cos_sin = ws_.cos_sin[static_cast<size_t>(rope_index)];
      store.rope_dim = spec.rope.dim;
      store.rope_axes = spec.rope.axes;
      store.neighbours = spec.rope.neighbours;
    }
    store.row_sequence = batch_.row_sequence;
    store.slots = batch_.slots;
    store.q = {ws_.queries, types_.query, spec.query_rows()};
    store.kv = view;
    store.live = batch_.rows;

    AttentionArgs args = attention_shape(spec, model_.weights.format, cache_.type(), kernels_);
    args.q.x = ws_.queries;
    args.score.slopes = slopes_;
    args.row_begin = batch_.row_begin;
    args.keys = batch_.keys;
    args.kv = view;
    if (spec.mask.prefix) args.score.prefix = batch_.prefix;
    args.out = inner(weights.second, ws_.attended, spec.attended());
    args.store = &store;
    args.scratch = ws_.attention_scratch;
    args.sequences = batch_.sequences;
    args.rows = batch_.rows;
    attention(kernels_, args, stream_);
    run_second(branch, weights,
               latent ? expand_latent(context(), spec, weights.latent, args.out) : args.out, joins);
  }

  // Latents are made in pieces, and a library that adds a bias wants the sums in f32.
  DType qkv_type(const AttentionSpec& spec) const {
    const bool one_product = spec.core == Core::kDense && spec.latent.rank == 0;
    return one_product && !spec.qkv_bias ? types_.qkv : DType::kF32;
  }

  void run_chunked(const AttentionSpec& spec, const BranchSpec& branch,
                   const BranchWeights& weights, bool joins) {
    ChunkedAttentionArgs args{};
    args.spec = &spec;
    if (spec.core == Core::kHashed) args.hashes = &model_.hashes[hash_index_++];
    args.qkv = ws_.qkv;
    args.batch = &batch_;
    args.out = {ws_.attended, input_, spec.out_inputs()};
    args.scratch = ws_.attention_scratch;
    chunked_attention(args, *model_.device, stream_);
    run_second(branch, weights, args.out, joins);
  }

  void run_mlp(const MlpSpec& spec, const BranchSpec& branch, const BranchWeights& weights,
               bool joins) {
    if (spec.experts.count > 0) return mix_experts(spec, branch, weights, joins);
    const Rows rows = inner(weights.second, ws_.mlp, spec.width);
    read_residual(branch, weights, rows);
    run_second(branch, weights, rows, joins);
  }

  void mix_experts(const MlpSpec& spec, const BranchSpec& branch, const BranchWeights& weights,
                   bool joins) {
    const Rows normed{ws_.normed, input_, width_, ws_.normed_q};
    const Rows logits{ws_.router, DType::kF32, spec.experts.count};
    LinearArgs product = weights.router.args(normed, logits, batch_.rows);
    product.bias = nullptr;
    read_residual(branch, weights, product);
    const float* before = joins ? ws_.partial[current_] : nullptr;
    current_ ^= 1;
    run_experts(context(), spec, weights, normed, before, ws_.partial[current_]);
  }

  StepContext context() const { return {kernels_, stream_, ws_, batch_.rows}; }

  void read_residual(const BranchSpec& branch, const BranchWeights& weights, const Rows& out) {
    read_residual(branch, weights,
                  weights.first.args({ws_.normed, input_, width_, ws_.normed_q}, out, batch_.rows));
  }

  // Rows at x as the last product of a branch reads them.
  Rows inner(const Linear& reader, void* x, int64_t width) const {
    if (!reader.spec().int8) return {x, input_, width};
    return {x, DType::kF32, width, ws_.inner_q};
  }

  // The seam before a branch: adds what is pending, norms, and runs the branch's first product.
  void read_residual(const BranchSpec& branch, const BranchWeights& weights,
                     const LinearArgs& product) {
    if (branch.shares_in) return linear(kernels_, product, stream_);
    ResidualArgs args = seam(weights.in.norm(), product.in);
    args.keep_y = args.keep_y || branch.keep_in;
    norm_linear(kernels_, args, {&product, 1}, stream_);
    if (model_.stack().streams > 1) next_stream();
  }

  // Whether a branch's last product adds to the residual itself, and nothing is left for the seam.
  static bool adds_at_once(const BranchSpec& branch, bool joins) {
    const auto* mlp = std::get_if<MlpSpec>(&branch.body);
    return !joins && !branch.with_next && branch.out.kind == NormKind::kNone && branch.carry == 1 &&
           branch.scale == 1 && (mlp == nullptr || mlp->experts.count == 0);
  }

  // The last product of a branch. Parallel branches add up: each starts from the one before.
  void run_second(const BranchSpec& branch, const BranchWeights& weights, const Rows& in,
                  bool joins) {
    LinearArgs args = weights.second.args(in, {residual_, DType::kF32, width_}, batch_.rows);
    if (adds_at_once(branch, joins)) {
      args.bias = weights.second.bias();
      args.addend = residual_;
    } else {
      args.addend = joins ? ws_.partial[current_] : nullptr;
      current_ ^= 1;
      args.out.x = ws_.partial[current_];
    }
    linear(kernels_, args, stream_);
  }

  // A norm of the sum replaces the residual; where the next branch norms again, in a pass before.
  ResidualArgs seam(Norm in, const Rows& y) {
    const Norm sum = pending_.sum;
    pending_.sum = {};
    bool replaces = sum.kind != NormKind::kNone;
    if (replaces && in.kind != NormKind::kNone) {
      ResidualArgs first = add_pending(sum, {});
      first.keep_y = true;
      residual(kernels_, first, stream_);
      replaces = false;
    } else if (replaces) {
      in = sum;
    }
    ResidualArgs args = add_pending(in, y);
    args.keep_y = replaces;
    return args;
  }

  ResidualArgs add_pending(const Norm& in, const Rows& y) {
    ResidualArgs args{};
    args.partial[0] = pending_.partial;
    args.partials = pending_.partial == nullptr ? 0 : 1;
    args.bias = pending_.bias;
    args.out = pending_.out;
    args.in = in;
    args.residual = residual_;
    args.carry = pending_.carry;
    args.branch = pending_.scale;
    args.y = y;
    args.width = width_;
    args.live = batch_.rows;
    pending_ = {};
    return args;
  }

  // Two streams become one of both widths.
  void join_streams() {
    if (model_.stack().streams == 1) return;
    residual(kernels_, seam({}, {}), stream_);
    const int32_t count = model_.stack().streams * batch_.rows.bound;
    model_.device->upload(ws_.joined_count, &count, sizeof count);
    ResidualArgs args{};
    args.residual = ws_.residual;
    args.take = ws_.joined_rows;
    args.y = {ws_.joined, DType::kF32, width_};
    args.width = width_;
    args.live = {ws_.joined_count, count};
    residual(kernels_, args, stream_);
    residual_ = ws_.joined;
    width_ *= model_.stack().streams;
  }

  void finish() {
    join_streams();
    if (ws_.hidden != nullptr) make_hidden();
    const bool projects = model_.stack().embedding.width > 0;
    const Rows normed{ws_.logit_normed, input_, width_, projects ? nullptr : ws_.logit_q};
    ResidualArgs args = seam(model_.weights.final_norm.norm(), normed);
    args.keep_y = false;
    args.take = batch_.logit_row;
    args.live = batch_.logit_rows;
    const Rows logits{ws_.logits, DType::kF32, model_.info.vocabulary};
    const Rows projected{ws_.logit_hidden, input_, model_.info.head_width, ws_.logit_q};
    const Linear& first = projects ? model_.weights.project_out : model_.weights.head;
    const LinearArgs product = first.args(normed, projects ? projected : logits, batch_.logit_rows);
    norm_linear(kernels_, args, {&product, 1}, stream_);
    if (!projects) return;
    linear(kernels_, model_.weights.head.args(projected, logits, batch_.logit_rows), stream_);
  }

  // What the head reads, of all rows.
  void make_hidden() {
    const Norm norm = model_.weights.final_norm.norm();
    const Rows hidden{ws_.hidden, DType::kF32, model_.info.head_width};
    if (model_.stack().embedding.width == 0) return residual(kernels_, seam(norm, hidden), stream_);
    const Rows normed{ws_.normed, input_, width_};
    const LinearArgs product = model_.weights.project_out.args(normed, hidden, batch_.rows);
    norm_linear(kernels_, seam(norm, normed), {&product, 1}, stream_);
  }

  const Model::Impl& model_;
  const KernelTable& kernels_;
  const Stream stream_;
  const RaggedBatch& batch_;
  KvCache& cache_;
  const Workspace::Arrays& ws_;
  const int32_t limit_rows_;  // from stream to stream
  int32_t width_;             // of the residual
  float* residual_;           // the stream that is read next
  const ActivationTypes types_;
  const DType input_;
  Pending pending_;
  const float* slopes_ = nullptr;  // of the attention that runs
  int32_t current_ = 0;            // which partial buffer holds the last sum
  int32_t attention_index_ = 0;    // layer of the cache
  size_t hash_index_ = 0;          // of the next hashed attention
};

}  // namespace

AttentionArgs attention_shape(const AttentionSpec& spec, WeightFormat format, DType cache_type,
                              const KernelTable& kernels) {
  AttentionArgs args{};
  const ActivationTypes types = kernels.types(format);
  args.q = {nullptr, types.query, spec.query_rows()};
  args.heads = spec.heads;
  args.kv_heads = spec.kv_heads;
  args.dim = spec.dim;
  args.value_dim = spec.values();
  args.kv.type = cache_type;
  args.kv.k_stride = kv_strides(cache_type, spec.kv_heads, spec.dim);
  args.kv.v_stride = kv_strides(cache_type, spec.kv_heads, spec.values());
  args.score.scale = spec.scale;
  args.score.softcap = spec.softcap;
  if (!spec.bias.slopes.empty()) args.score.slopes = spec.bias.slopes.data();
  args.score.bias_scale = spec.bias.scaled ? spec.scale : 1;
  args.score.bias_bf16 = spec.bias.bf16;
  args.score.causal = spec.mask.causal;
  args.score.window = spec.mask.window;
  args.out = {nullptr, types.input, spec.attended()};
  return args;
}

bool keeps_cache(const TransformerSpec& spec, WeightFormat format, DType cache_type,
                 const KernelTable& kernels) {
  bool all = true;
  for_each_attention(spec, [&](const AttentionSpec& attention) {
    if (attention.core != Core::kDense) return;
    all &= kernels.runs(attention_shape(attention, format, cache_type, kernels));
  });
  return all;
}

StepOutput forward(const Model& model, const RaggedBatch& batch, KvCache& cache,
                   Workspace& workspace) {
  const StepLimits& limits = workspace.limits();
  if (batch.rows.bound > limits.rows || batch.sequences.bound > limits.sequences ||
      batch.logit_rows.bound > limits.logit_rows || batch.max_keys > limits.max_keys) {
    throw_error(ErrorKind::kInternal,
                "a step of {} rows, {} sequences, {} logit rows and {} keys is beyond the "
                "workspace's {}, {}, {} and {}",
                batch.rows.bound, batch.sequences.bound, batch.logit_rows.bound, batch.max_keys,
                limits.rows, limits.sequences, limits.logit_rows, limits.max_keys);
  }
  return Step(model.impl(), batch, cache, workspace).run();
}

}  // namespace tensormill
