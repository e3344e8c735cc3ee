// Speed of the CPU kernels beside the ceilings of the same minute:
//   kernels_bench [threads] [level] [bf16|f32|f16|int8]
// Each figure is the median of alternating rounds: the memory's pace swings within minutes.
#include <fmt/core.h>

#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <random>
#include <string_view>
#include <vector>

#include "base/thread_team.h"
#include "kernels/cpu_stream.h"
#include "kernels/table.h"
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

// Two plain streams of 64-byte reads a thread.
void read_all(const Buffer& buffer, ThreadTeam& team) {
  using Line = uint64_t __attribute__((vector_size(64)));
  team.parallel(static_cast<int64_t>(buffer.size() / 64), 2, [&](int64_t begin, int64_t end) {
    const Line* line = buffer.as<Line>();
    const int64_t half = (end - begin) / 2;
    Line one{}, two{};
    for (int64_t i = begin; i < begin + half; ++i) {
      one += line[i];
      two += line[i + half];
    }
    one += two;
    asm volatile("" ::"m"(one));
  });
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
    for (size_t j = 0; j < bytes / 2; ++j) {
      // Finite values around 1 in each of the formats.
      buffer.as<uint16_t>()[j] = static_cast<uint16_t>(0x3c00 | (random() & 0x80ff));
    }
    all.packed.push_back({buffer.data(), format, outputs, inner});
    all.copies.push_back(std::move(buffer));
  }
  return all;
}

void bench_linear(const KernelTable& kernels, ThreadTeam& team, WeightFormat format, int outputs,
                  int inner, const char* name) {
  const Weights weights = make_weights(format, outputs, inner);
  const size_t bytes = panel_bytes(format, outputs, inner);
  const DType type = format == WeightFormat::kBF16 ? DType::kBF16 : DType::kF32;
  for (const int rows : {1, 4, 16, 128, 512}) {
    Buffer in(static_cast<size_t>(rows) * inner * dtype_size(type), "in");
    Buffer out(static_cast<size_t>(rows) * outputs * 4, "out");
    for (size_t j = 0; j < in.size() / 2; ++j) {
      in.as<uint16_t>()[j] = static_cast<uint16_t>(0x3c00 | (j * 40503u & 0x80ff));
    }
    std::vector<Int8Group> quantized(static_cast<size_t>(rows * int8_groups(inner)));
    for (Int8Group& group : quantized) {
      group.scale = 1;
      for (int8_t& q : group.q) q = static_cast<int8_t>((&q - group.q) * 37);
    }
    const size_t repeat = rows <= 32 ? weights.packed.size() : 1;
    std::vector<double> ours, plain;
    size_t next = 0;
    for (int round = 0; round < kRounds; ++round) {
      double start = seconds();
      for (size_t i = 0; i < repeat; ++i) {
        LinearArgs args{};
        args.weight = &weights.packed[next++ % weights.packed.size()];
        args.in = {in.data(), type, inner, quantized.data()};
        args.out = {out.data(), DType::kF32, outputs};
        args.live = {&rows, rows};
        kernels.linear(args, cpu_stream(&team));
      }
      ours.push_back((seconds() - start) / static_cast<double>(repeat));
      start = seconds();
      for (size_t i = 0; i < repeat; ++i)
        read_all(weights.copies[next++ % weights.copies.size()], team);
      plain.push_back((seconds() - start) / static_cast<double>(repeat));
    }
    const double time = median(ours);
    fmt::print(
        "{:>5} {}x{} rows {:>3}: {:9.1f} us {:7.1f} Gop/s, weights {:5.1f} GB/s, plain read "
        "{:5.1f} GB/s\n",
        name, outputs, inner, rows, time * 1e6, 2e-9 * rows * outputs * inner / time,
        1e-9 * static_cast<double>(bytes) / time,
        1e-9 * static_cast<double>(bytes) / median(plain));
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

// Causal attention of `rows` new rows after `keys` - `rows` old ones, one sequence, bf16 cache.
void bench_attention(const KernelTable& kernels, ThreadTeam& team, int heads, int kv_heads, int dim,
                     int rows, int keys) {
  const int blocks = (keys + kBlockTokens - 1) / kBlockTokens;
  const int64_t head_stride = int64_t{kBlockTokens} * dim;
  const KvStrides strides{kv_heads * head_stride, head_stride};
  Buffer k(static_cast<size_t>(blocks * strides.block) * 2, "k"), v(k.size(), "v");
  for (size_t j = 0; j < k.size() / 2; ++j) {
    k.as<uint16_t>()[j] = v.as<uint16_t>()[j] =
        static_cast<uint16_t>(0x3c00 | (j * 40503u & 0x80ff));
  }
  Buffer q(static_cast<size_t>(rows) * heads * dim * 4, "q"), out(q.size(), "out");
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
  args.kv = {k.data(), v.data(), DType::kBF16, strides, strides, table.data(), blocks};
  args.score.scale = 0.125f;
  args.score.causal = true;
  args.out = {out.data(), DType::kBF16, heads * dim};
  args.scratch = scratch.data();
  args.sequences = {&one, 1};
  args.rows = {&rows, rows};
  std::vector<double> all;
  for (int round = 0; round < kRounds; ++round) {
    const double start = seconds();
    kernels.attention(args, cpu_stream(&team));
    all.push_back(seconds() - start);
  }
  const double time = median(all), pairs = rows * (keys - 0.5 * (rows - 1)) * heads;
  fmt::print("attention {}/{}x{} rows {} keys {}: {:.1f} us, {:.1f} Gop/s, cache {:.1f} GB/s\n",
             heads, kv_heads, dim, rows, keys, time * 1e6, 4e-9 * pairs * dim / time,
             2e-9 * static_cast<double>(k.size()) / time);
}

}  // namespace
}  // namespace tensormill

int main(int argc, char** argv) {
  using namespace tensormill;
  ThreadTeam team(argc > 1 ? std::atoi(argv[1]) : usable_cores());
  const KernelTable* kernels = cpu_kernels(argc > 2 ? argv[2] : "auto");
  if (kernels == nullptr) {
    fmt::print(stderr, "this machine doesn't run level {}\n", argv[2]);
    return 1;
  }
  own_time = team.size() == 1;
  fmt::print("level {}, {} threads\n", kernels->name, team.size());
  bench_barrier(team);
  bench_attention(*kernels, team, 32, 32, 128, 1, 2048);
  bench_attention(*kernels, team, 9, 3, 64, 1, 2048);
  bench_attention(*kernels, team, 9, 3, 64, 512, 512);
  bench_attention(*kernels, team, 32, 32, 128, 512, 2048);
  const std::string_view only = argc > 3 ? argv[3] : "";
  for (const auto& [format, name] :
       {std::pair{WeightFormat::kBF16, "bf16"}, std::pair{WeightFormat::kF32, "f32"},
        std::pair{WeightFormat::kF16, "f16"}, std::pair{WeightFormat::kInt8, "int8"}}) {
    if (!only.empty() && only != name) continue;
    bench_linear(*kernels, team, format, 5632, 2048, name);
    bench_linear(*kernels, team, format, 576, 1536, name);
  }
}
