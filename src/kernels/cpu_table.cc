#include <cstring>
#include <iterator>

#include "kernels/cpu_features.h"
#include "kernels/cpu_kernels.h"

namespace tensormill {
namespace {

constexpr int64_t kPackGrain = 1;  // panels that one thread takes at least

bool runs(const AttentionArgs& args) {
  return args.dim > 0 && args.dim <= kMaxHeadDim && args.value_dim > 0 &&
         args.value_dim <= kMaxHeadDim && args.kv_heads > 0 && args.heads % args.kv_heads == 0 &&
         args.q.type == DType::kF32;
}

bool stores(WeightFormat format) {
  return format == WeightFormat::kF32 || format == WeightFormat::kF16 ||
         format == WeightFormat::kBF16 || format == WeightFormat::kInt8;
}

// f16 weights are widened inside of the kernels.
ActivationTypes types(WeightFormat format) {
  return {format == WeightFormat::kBF16 ? DType::kBF16 : DType::kF32, DType::kF32, DType::kF32};
}

// The table's entries for one level: function pointers can't carry the level, a template can.
template <const CpuLevel& (*level)()>
struct Entries {
  static void embed(const EmbedArgs& args, Stream stream) {
    over_rows(stream, args.live, [&](int32_t b, int32_t e) { level().embed(args, b, e); });
  }
  static void residual(const ResidualArgs& args, Stream stream) {
    over_rows(stream, args.live, [&](int32_t b, int32_t e) { level().residual(args, b, e); });
  }
  static void linear(const LinearArgs& args, Stream stream) { cpu_linear(level(), args, stream); }
  static void norm_linear(const ResidualArgs& norm, const LinearArgs* products, int32_t n,
                          Stream stream) {
    residual(norm, stream);
    for (int32_t i = 0; i < n; ++i) linear(products[i], stream);
  }
  static void to_cache(const ToCacheArgs& args, Stream stream) {
    over_rows(stream, args.live, [&](int32_t b, int32_t e) { level().to_cache(args, b, e); });
  }
  static void attention(const AttentionArgs& args, Stream stream) {
    if (args.store != nullptr) to_cache(*args.store, stream);
    cpu_attention(level(), args, stream);
    cpu_quantize(level(), args.out, args.heads * args.value_dim, *args.rows.count, stream);
  }
  static void experts(const ExpertsArgs& args, Stream stream) {
    cpu_experts(level(), args, stream);
  }
  static const LogitKernels* logits() { return &level().logits; }
  static void pack(const PackArgs& args, Stream stream) {
    const int32_t last = args.source.first_row + args.source.rows;
    const int32_t begin = args.source.first_row / kPanel, end = (last + kPanel - 1) / kPanel;
    if (stream != nullptr) {
      team_of(stream)->place(args.packed, panel_bytes(args.format, args.outputs, args.inner));
    }
    for_range(stream, end - begin, kPackGrain, [&](int64_t b, int64_t e) {
      level().pack(args, begin + static_cast<int32_t>(b), begin + static_cast<int32_t>(e));
    });
  }

 private:
  template <class F>
  static void over_rows(Stream stream, const Live& live, F&& f) {
    for_range(stream, *live.count, kRowGrain, [&](int64_t begin, int64_t end) {
      f(static_cast<int32_t>(begin), static_cast<int32_t>(end));
    });
  }
};

template <const CpuLevel& (*level)()>
constexpr KernelTable table_of(const char* name) {
  using E = Entries<level>;
  KernelTable table{};
  table.name = name;
  table.keys_by_dim = true;
  table.embed = E::embed;
  table.residual = E::residual;
  table.linear = E::linear;
  table.norm_linear = E::norm_linear;
  table.rope = cpu_rope;
  table.to_cache = E::to_cache;
  table.attention = E::attention;
  table.route = cpu_route;
  table.experts = E::experts;
  table.logits = E::logits;
  table.pack = E::pack;
  table.runs = runs;
  table.stores = stores;
  table.types = types;
  table.packed_bytes = [](WeightFormat format, int64_t outputs, int64_t inner) {
    return panel_bytes(format, outputs, inner);
  };
  table.attention_scratch = cpu_attention_scratch;
  return table;
}

// Best last.
constexpr KernelTable kTables[] = {
    table_of<cpu_level_portable>("portable"),
#ifdef TENSORMILL_X86_LEVELS
    table_of<cpu_level_avx2>("avx2"),
    table_of<cpu_level_avx2_vnni>("avx2_vnni"),
    table_of<cpu_level_avx512>("avx512"),
    table_of<cpu_level_avx512_vnni>("avx512_vnni"),
    table_of<cpu_level_avx512_bf16>("avx512_bf16"),
    table_of<cpu_level_avx512_amx>("avx512_amx"),
#endif
};

}  // namespace

const KernelTable* cpu_kernels(const char* level) {
  const CpuFeatures& features = cpu_features();
  for (size_t i = std::size(kTables); i-- > 0;) {
    if (!features.runs(kTables[i].name)) continue;
    if (std::strcmp(level, "auto") == 0 || std::strcmp(level, kTables[i].name) == 0) {
      return &kTables[i];
    }
  }
  return nullptr;
}

}  // namespace tensormill
