// Speed of the CPU kernels beside the ceilings of the same minute: kernels_bench --help
// Each figure is the median of alternating rounds: the memory's pace swings within minutes.
#include <fmt/core.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_team.h"
#include "kernels/cpu_features.h"
#include "kernels/cpu_stream.h"
#include "kernels/table.h"
#include "machine/loops.h"
#include "tensor/tensor.h"

namespace tensormill {
namespace {

constexpr int kRounds = 5;

// The process's own time with one thread, so that neighbours on the machine count little; else
// the wall's.
bool own_time = false;

double seconds() {
  timespec now;
  clock_gettime(own_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double median(std::vector<double> all) {
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}

const Reads& best_reads() {
  const CpuFeatures& cpu = cpu_features();
  if (cpu.runs("avx512")) return reads_avx512();
  return cpu.runs("avx2") ? reads_avx2() : reads_portable();
}

// Reads all buffers in one of the ways of machine/loops.h.
void read_all(const std::vector<Buffer>& buffers, void (*way)(const char*, size_t),
              ThreadTeam& team) {
  constexpr int64_t kPage = 4096;
  for (const Buffer& buffer : buffers) {
    const auto bytes = static_cast<int64_t>(buffer.size()) / (2 * kPage) * (2 * kPage);
    team.parallel(bytes, 2 * kPage, [&](int64_t begin, int64_t end) {
      way(buffer.as<char>() + begin, static_cast<size_t>(end - begin));
    });
  }
}

// The loop on registers that a format's products are measured by at a level, or null.
double (*peak_loop(const KernelTable& kernels, WeightFormat format))(int64_t rounds) {
  if (std::string_view(kernels.name) == "avx512_amx") {
    if (format == WeightFormat::kInt8) return int8_amx;
    if (format == WeightFormat::kBF16) return bf16_amx;
  }
  const auto& all = cpu_features().features;
  const auto has = [&](const char* name) {
    return std::find(all.begin(), all.end(), name) != all.end();
  };
  if (format == WeightFormat::kInt8 && has("avx512_vnni")) return int8_avx512;
  if (format == WeightFormat::kBF16 && has("avx512_bf16")) return bf16_avx512;
  if (cpu_features().runs("avx512")) return fma_avx512;
  return cpu_features().runs("avx2") ? fma_avx2 : nullptr;
}

// Operations a second, all threads.
double run_peak(double (*loop)(int64_t), ThreadTeam& team) {
  if (loop == nullptr) return 0;
  std::vector<double> done(static_cast<size_t>(team.size()));
  const double start = seconds();
  team.parallel(team.size(), 1,
                [&](int64_t thread, int64_t) { done[static_cast<size_t>(thread)] = loop(500000); });
  return std::accumulate(done.begin(), done.end(), 0.0) / (seconds() - start);
}

struct Weights {
  std::vector<Buffer> copies;  // more than the last-level cache holds, used in turn
  std::vector<Packed> packed;
};

Weights make_weights(WeightFormat format, int outputs, int inner) {
  const size_t bytes = panel_bytes(format, outputs, inner);
  Weights all;
  std::mt19937 random(1);
  for (size_t i = 0; i < std::max<size_t>(2, (size_t{256} << 20) / bytes); ++i) {
    Buffer buffer(bytes, "weights");
    auto* bits = buffer.as<uint16_t>();
    for (size_t j = 0; j < bytes / 2; ++j) {
      // Finite values around 1 in each of the formats, in kInt8 the scales alone.
      const bool value = format == WeightFormat::kInt8 && j % (kInt8Piece / 2) >= kInt8Scales / 2;
      bits[j] = static_cast<uint16_t>(value ? random() : 0x3c00 | (random() & 0x80ff));
    }
    all.packed.push_back({buffer.data(), format, outputs, inner});
    all.copies.push_back(std::move(buffer));
  }
  return all;
}

// Inputs of a product: in the format's type, and quantized.
struct Inputs {
  Buffer plain;
  std::vector<Int8Group> quantized;
  Rows rows;

  Inputs(const KernelTable& kernels, WeightFormat format, int count, int inner)
      : plain(static_cast<size_t>(count) * inner * dtype_size(kernels.types(format).input), "in"),
        quantized(static_cast<size_t>(count * int8_groups(inner))) {
    std::mt19937 random(2);
    for (size_t j = 0; j < plain.size() / 2; ++j) {
      plain.as<uint16_t>()[j] = static_cast<uint16_t>(0x3c00 | (random() & 0x80ff));
    }
    for (Int8Group& group : quantized) {
      group.scale = 1;
      group.start = 0;
      for (int8_t& q : group.q) q = static_cast<int8_t>(random());
    }
    rows = {plain.data(), kernels.types(format).input, inner, quantized.data()};
  }
};

void bench_linear(const KernelTable& kernels, ThreadTeam& team, WeightFormat format, int outputs,
                  int inner, const std::vector<int>& counts, const char* name) {
  const Weights weights = make_weights(format, outputs, inner);
  const size_t bytes = panel_bytes(format, outputs, inner);
  const Reads& reads = best_reads();
  fmt::print("{} {}x{}\n{:>5} {:>10} {:>8} {:>8} {:>8} | {:>8} {:>8} {:>8}\n", name, outputs, inner,
             "rows", "us", "GB/s", "read", "of read", "Gop/s", "peak", "of peak");
  for (const int rows : counts) {
    const Inputs in(kernels, format, rows, inner);
    Buffer out(static_cast<size_t>(rows) * outputs * 4, "out");
    const size_t repeat = rows <= 32 ? weights.packed.size() : 2;
    std::vector<double> ours, read, peak;
    size_t next = 0;
    for (int round = 0; round < kRounds; ++round) {
      double start = seconds();
      for (size_t i = 0; i < repeat; ++i) {
        LinearArgs args{};
        args.weight = &weights.packed[next++ % weights.packed.size()];
        args.in = in.rows;
        args.out = {out.data(), DType::kF32, outputs};
        args.live = {&rows, rows};
        kernels.linear(args, cpu_stream(&team));
      }
      ours.push_back((seconds() - start) / static_cast<double>(repeat));
      double best = 1e9;  // of the ways to read
      for (const auto way : {reads.two_streams, reads.one_ahead, reads.two_ahead}) {
        start = seconds();
        read_all(weights.copies, way, team);
        best = std::min(best, seconds() - start);
      }
      read.push_back(static_cast<double>(bytes * weights.copies.size()) / best);
      peak.push_back(run_peak(peak_loop(kernels, format), team));
    }
    const double time = median(ours), rate = static_cast<double>(bytes) / time;
    const double work = 2.0 * rows * outputs * inner / time, most = median(peak);
    fmt::print("{:>5} {:>10.1f} {:>8.1f} {:>8.1f} {:>8.2f} | {:>8.1f} {:>8.1f} {:>8.2f}\n", rows,
               time * 1e6, 1e-9 * rate, 1e-9 * median(read), rate / median(read), 1e-9 * work,
               1e-9 * most, most > 0 ? work / most : 0);
  }
}

void bench_barrier(ThreadTeam& team) {
  std::vector<double> all;
  for (int round = 0; round < kRounds; ++round) {
    const double start = seconds();
    for (int i = 0; i < 2000; ++i) team.run([](void*, int) {}, nullptr);
    all.push_back((seconds() - start) / 2000);
  }
  fmt::print("empty run of {} threads: {:.2f} us, best {:.2f}\n", team.size(), median(all) * 1e6,
             *std::min_element(all.begin(), all.end()) * 1e6);
}

// Keys or values of some layers, one head after another.
Buffer cache_plane(DType type, size_t heads, int dim) {
  Buffer plane(heads * static_cast<size_t>(kv_block(type, dim)) * dtype_size(type), "cache");
  if (type == DType::kBF16) {
    for (size_t j = 0; j < plane.size() / 2; ++j) {
      plane.as<uint16_t>()[j] = static_cast<uint16_t>(0x3c00 | (j * 40503u & 0x80ff));
    }
    return plane;
  }
  for (size_t h = 0; h < heads; ++h) {
    uint8_t* block = plane.as<uint8_t>() + h * static_cast<size_t>(kv_block(type, dim));
    for (int64_t j = 0; j < kv_scales(dim); ++j) block[j] = static_cast<uint8_t>(j * 151 + 7);
    auto* scale = reinterpret_cast<float*>(block + kv_scales(dim));
    std::fill_n(scale, kBlockTokens, 1e-4f);
  }
  return plane;
}

struct AttentionShape {
  int heads, kv_heads, dim, rows, keys;
  int layers = 1;  // in turns, each with a cache of its own: enough of them come from memory
};

// Causal attention of `rows` new rows after `keys` - `rows` old ones, one sequence.
void bench_attention(const KernelTable& kernels, ThreadTeam& team, const AttentionShape& shape,
                     DType type) {
  const auto& [heads, kv_heads, dim, rows, keys, layers] = shape;
  const int blocks = (keys + kBlockTokens - 1) / kBlockTokens;
  const int64_t head_stride = kv_block(type, dim), layer = blocks * kv_heads * head_stride;
  const KvStrides strides{kv_heads * head_stride, head_stride};
  const auto all_heads = static_cast<size_t>(layers) * static_cast<size_t>(blocks * kv_heads);
  Buffer k = cache_plane(type, all_heads, dim), v = cache_plane(type, all_heads, dim);
  Buffer q(static_cast<size_t>(rows) * heads * dim * 4, "q"), out(q.size(), "out");
  for (size_t j = 0; j < q.size() / 4; ++j) q.as<float>()[j] = static_cast<float>(j % 13) * 0.1f;
  Buffer scratch(kernels.attention_scratch(rows, heads, dim, keys), "scratch");
  std::vector<int32_t> table(static_cast<size_t>(blocks));
  std::iota(table.begin(), table.end(), 0);
  const int32_t begin[] = {0, rows}, one = 1;
  AttentionArgs args{};
  args.q = {q.data(), DType::kF32, heads * dim};
  args.row_begin = begin;
  args.keys = &keys;
  args.heads = heads;
  args.kv_heads = kv_heads;
  args.dim = args.value_dim = dim;
  args.kv = {k.data(), v.data(), type, strides, strides, table.data(), blocks};
  args.score.scale = 0.125f;
  args.score.causal = true;
  args.out = {out.data(), DType::kBF16, heads * dim};
  args.scratch = scratch.data();
  args.sequences = {&one, 1};
  args.rows = {&rows, rows};
  std::vector<double> all;
  for (int round = 0; round < std::max(kRounds, 2 * layers); ++round) {
    const auto from = static_cast<size_t>(round % layers * layer) * dtype_size(type);
    args.kv.k = k.as<uint8_t>() + from;
    args.kv.v = v.as<uint8_t>() + from;
    const double start = seconds();
    kernels.attention(args, cpu_stream(&team));
    all.push_back(seconds() - start);
  }
  const double time = median(all), pairs = rows * (keys - 0.5 * (rows - 1)) * heads;
  fmt::print(
      "attention {}/{}x{} rows {} keys {} {}{}: {:.1f} us, {:.1f} Gop/s, cache {:.1f} GB/s\n",
      heads, kv_heads, dim, rows, keys, dtype_name(type), layers > 1 ? " from memory" : "",
      time * 1e6, 4e-9 * pairs * dim / time, 2e-9 * static_cast<double>(k.size()) / layers / time);
}

}  // namespace
}  // namespace tensormill

namespace tensormill {
namespace {

int run(int argc, char** argv) {
  CLI::App app("Speed of the CPU kernels beside what the machine can do.", "kernels_bench");
  int threads = usable_cores();
  std::string level = "auto", only, shape;
  std::vector<int> rows = {1, 2, 4, 6, 8, 16, 32, 64, 128, 512};
  app.add_option("--threads", threads, "threads; with one, its own time is measured");
  app.add_option("--level", level, "instruction-set level");
  app.add_option("--format", only,
                 "products alone, in this format: bf16, f32, f16 or int8; or attention");
  app.add_option("--rows", rows, "rows of a product's input")->delimiter(',');
  app.add_option("--shape", shape, "5632x2048: outputs and inner dimension of the products");
  CLI11_PARSE(app, argc, argv);
  ThreadTeam team(threads);
  const KernelTable* kernels = cpu_kernels(level.c_str());
  if (kernels == nullptr) {
    fmt::print(stderr, "this machine doesn't run level {}\n", level);
    return 1;
  }
  own_time = team.size() == 1;
  fmt::print("level {}, {} threads\n", kernels->name, team.size());
  if (only.empty() || only == "attention") {
    bench_barrier(team);
    for (const AttentionShape& one :
         {AttentionShape{32, 32, 128, 1, 2048, 16}, AttentionShape{32, 4, 64, 1, 8192, 32},
          AttentionShape{9, 3, 64, 1, 2048}, AttentionShape{9, 3, 64, 512, 512},
          AttentionShape{32, 4, 64, 512, 2048}, AttentionShape{32, 32, 128, 512, 2048}}) {
      for (const DType type : {DType::kBF16, DType::kI8}) {
        bench_attention(*kernels, team, one, type);
      }
    }
  }
  int outputs = 5632, inner = 2048;
  if (!shape.empty() && std::sscanf(shape.c_str(), "%dx%d", &outputs, &inner) != 2) {
    fmt::print(stderr, "--shape: {}, expected like 5632x2048\n", shape);
    return 1;
  }
  for (const auto& [format, name] :
       {std::pair{WeightFormat::kBF16, "bf16"}, std::pair{WeightFormat::kF32, "f32"},
        std::pair{WeightFormat::kF16, "f16"}, std::pair{WeightFormat::kInt8, "int8"}}) {
    if (!only.empty() && only != name) continue;
    bench_linear(*kernels, team, format, outputs, inner, rows, name);
  }
  return 0;
}

}  // namespace
}  // namespace tensormill

int main(int argc, char** argv) {
  try {
    return tensormill::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "kernels_bench: {}\n", error.what());
    return 1;
  }
}
