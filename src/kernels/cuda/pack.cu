// Weights from the host's memory into rows of the device's, a piece at a time: entries (which row
// goes where), then the source's values.

#include <algorithm>
#include <cstring>

#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/device/rows.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/staging.h"

namespace tensormill {
namespace {

constexpr int kThreads = 256;
constexpr int kTile = 32;
constexpr int kTileRows = 8;        // threads of a tile's block along its slower side
constexpr size_t kEntries = 32768;  // at most, of a piece of a transposed source
constexpr size_t kAlignment = 16;

// Row `from` of the piece is, or in a transposed source column `from` is, row `to` of the weight.
struct Entry {
  int32_t from, to;
};

// A piece in device memory and its goal. Values [lines, width] stand `stride` elements apart.
// Lines are the rows of `entries`; transposed, they are the inner elements from `begin` on.
struct Staged {
  const Entry* entries;
  int32_t count;
  const void* values;
  DType type;
  int64_t stride;
  int32_t lines, width, begin;
  void* packed;
  DType packed_type;
  int64_t packed_row;
};

template <int kCount>
__global__ void __launch_bounds__(kThreads) pack_lines(const __grid_constant__ Staged staged) {
  release_next();
  wait_for_previous();
  const int pieces = staged.width / kCount;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t line = index / pieces;
  if (line >= staged.count) return;
  const int64_t i = index % pieces * kCount;
  const Entry entry = staged.entries[line];
  store_piece_as(staged.packed, staged.packed_type, entry.to * staged.packed_row + staged.begin + i,
                 load_piece_as<kCount>(staged.values, staged.type, line * staged.stride + i));
}

__global__ void __launch_bounds__(kTile* kTileRows)
    pack_columns(const __grid_constant__ Staged staged) {
  release_next();
  wait_for_previous();
  __shared__ float tile[kTile][kTile + 1];
  const int line = blockIdx.y * kTile, entry = blockIdx.x * kTile;
  const int read = entry + threadIdx.x;
  const int64_t column = read < staged.count ? staged.entries[read].from : 0;
  for (int y = threadIdx.y; y < kTile; y += kTileRows) {
    if (line + y >= staged.lines || read >= staged.count) continue;
    tile[y][threadIdx.x] = load_as(staged.values, staged.type, (line + y) * staged.stride + column);
  }
  __syncthreads();
  for (int y = threadIdx.y; y < kTile; y += kTileRows) {
    if (line + threadIdx.x >= staged.lines || entry + y >= staged.count) continue;
    const int64_t row = staged.entries[entry + y].to * staged.packed_row;
    store_as(staged.packed, staged.packed_type, row + staged.begin + line + threadIdx.x,
             tile[threadIdx.x][y]);
  }
}

constexpr size_t round_up(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

DType stored_type(WeightFormat format) {
  if (format == WeightFormat::kF32) return DType::kF32;
  return format == WeightFormat::kF16 ? DType::kF16 : DType::kBF16;
}

// One call's work, cut into pieces.
class Packer {
 public:
  Packer(const PackArgs& args, CudaContext& context)
      : args_(args),
        context_(context),
        bytes_(dtype_size(args.source.type)),
        source_(static_cast<const std::byte*>(args.source.data)) {
    for (int32_t r = 0; r < args.source.rows; ++r) {
      const int32_t from = args.source.row_map == nullptr ? r : args.source.row_map[r];
      if (from >= 0) entries_.push_back({from, args.source.first_row + r});
    }
    step_ = even_step();
  }

  void lines() {
    // A row that is too long for one piece goes in parts.
    const size_t most = (StagingRing::kBytes - kAlignment) / bytes_ / kAlignment * kAlignment;
    const size_t inner = static_cast<size_t>(args_.source.inner), width = std::min(inner, most);
    const size_t parts = (inner + width - 1) / width;
    const size_t limit =
        (StagingRing::kBytes - kAlignment) / (round_up(width * bytes_) + sizeof(Entry));
    const size_t count = balanced(entries_.size(), limit);
    const size_t groups = (entries_.size() + count - 1) / count;
    each(groups * parts, [&](const StagingRing::Piece& piece, size_t i) {
      const size_t entry = i / parts * count, begin = i % parts * width;
      pack_rows(piece, entry, std::min(count, entries_.size() - entry), begin,
                std::min(width, inner - begin));
    });
  }

  void columns() {
    for (size_t entry = 0; entry < entries_.size(); entry += kEntries) {
      const size_t count = std::min(kEntries, entries_.size() - entry);
      const auto [least, most] =
          std::minmax_element(entries_.begin() + static_cast<std::ptrdiff_t>(entry),
                              entries_.begin() + static_cast<std::ptrdiff_t>(entry + count),
                              [](const Entry& a, const Entry& b) { return a.from < b.from; });
      const Columns columns{entry, count, least->from, most->from - least->from + 1};
      const size_t room = StagingRing::kBytes - round_up(count * sizeof(Entry));
      const size_t depth = room / round_up(static_cast<size_t>(columns.width) * bytes_);
      if (depth == 0) check_cuda(cudaErrorInvalidValue, "pack: a source too wide to be transposed");
      const size_t inner = static_cast<size_t>(args_.source.inner);
      each((inner + depth - 1) / depth, [&](const StagingRing::Piece& piece, size_t i) {
        pack_depth(piece, columns, i * depth, std::min(depth, inner - i * depth));
      });
    }
  }

 private:
  // Entries and the source's columns that they span.
  struct Columns {
    size_t entry, count;
    int32_t first, width;
  };

  // How many rows of the weight it is from one of the source's to the next; 0 where that changes.
  int32_t even_step() const {
    const int32_t step = entries_.size() < 2 ? 1 : entries_[1].to - entries_[0].to;
    for (size_t i = 1; i < entries_.size(); ++i) {
      if (entries_[i].to - entries_[i - 1].to != step) return 0;
    }
    return step;
  }

  // Whether rows can be copied to where they belong: a kernel between two copies makes both wait.
  bool copies_rows(size_t width) const {
    constexpr size_t kLongRow = 1024;  // bytes; shorter ones are copied slowly
    return step_ > 0 && stored_type(args_.format) == args_.source.type &&
           width * bytes_ >= kLongRow;
  }

  // Rows of a piece, at most `limit`, so that every thread gets as many pieces.
  size_t balanced(size_t rows, size_t limit) const {
    if (rows <= limit) return limit;
    const auto threads = static_cast<size_t>(context_.staging->threads());
    const size_t pieces = (rows + limit * threads - 1) / (limit * threads) * threads;
    return (rows + pieces - 1) / pieces;
  }

  template <class F>
  void each(size_t count, F&& f) {
    context_.staging->each(context_.device, static_cast<int64_t>(count),
                           [&](const StagingRing::Piece& piece, int64_t i) {
                             f(piece, static_cast<size_t>(i));
                             check_cuda(cudaEventRecord(piece.done, context_.stream),
                                        "cudaEventRecord");
                           });
  }

  // Sends the piece, of which `values` holds entries' places and the first value's, to the device.
  Staged send(const StagingRing::Piece& piece, size_t count, size_t lines, size_t width,
              size_t begin) const {
    const size_t head = round_up(count * sizeof(Entry)), line = round_up(width * bytes_);
    check_cuda(cudaMemcpyAsync(piece.device, piece.host, head + lines * line,
                               cudaMemcpyHostToDevice, context_.stream),
               "cudaMemcpyAsync");
    Staged staged{};
    staged.entries = reinterpret_cast<const Entry*>(piece.device);
    staged.count = static_cast<int32_t>(count);
    staged.values = piece.device + head;
    staged.type = args_.source.type;
    staged.stride = static_cast<int64_t>(line / bytes_);
    staged.lines = static_cast<int32_t>(lines);
    staged.width = static_cast<int32_t>(width);
    staged.begin = static_cast<int32_t>(begin);
    staged.packed = args_.packed;
    staged.packed_type = stored_type(args_.format);
    staged.packed_row = packed_row(args_.format, args_.inner);
    return staged;
  }

  // Elements begin .. begin + width of `count` rows.
  void pack_rows(const StagingRing::Piece& piece, size_t entry, size_t count, size_t begin,
                 size_t width) const {
    std::memcpy(piece.host, entries_.data() + entry, count * sizeof(Entry));
    std::byte* to = piece.host + round_up(count * sizeof(Entry));
    const size_t line = round_up(width * bytes_), row = args_.source.inner * bytes_;
    for (size_t i = 0; i < count; ++i) {
      const size_t from = static_cast<size_t>(entries_[entry + i].from);
      std::memcpy(to + i * line, source_ + from * row + begin * bytes_, width * bytes_);
    }
    if (copies_rows(width)) return copy_rows(to, entry, count, begin, width);
    const Staged staged = send(piece, count, count, width, begin);
    const bool fours = width % 4 == 0;
    const size_t pieces = count * width / (fours ? 4 : 1);
    launch(context_, fours ? pack_lines<4> : pack_lines<1>,
           static_cast<unsigned>((pieces + kThreads - 1) / kThreads), kThreads, 0, staged);
  }

  void copy_rows(const std::byte* from, size_t entry, size_t count, size_t begin,
                 size_t width) const {
    const size_t row = static_cast<size_t>(packed_row(args_.format, args_.inner)) * bytes_;
    auto* to = static_cast<std::byte*>(args_.packed) +
               static_cast<size_t>(entries_[entry].to) * row + begin * bytes_;
    check_cuda(
        cudaMemcpy2DAsync(to, static_cast<size_t>(step_) * row, from, round_up(width * bytes_),
                          width * bytes_, count, cudaMemcpyHostToDevice, context_.stream),
        "cudaMemcpy2DAsync");
  }

  // Inner elements begin .. begin + depth of all the columns.
  void pack_depth(const StagingRing::Piece& piece, const Columns& columns, size_t begin,
                  size_t depth) const {
    auto* entries = reinterpret_cast<Entry*>(piece.host);
    for (size_t i = 0; i < columns.count; ++i) {
      entries[i] = entries_[columns.entry + i];
      entries[i].from -= columns.first;
    }
    std::byte* to = piece.host + round_up(columns.count * sizeof(Entry));
    const size_t width = static_cast<size_t>(columns.width) * bytes_, line = round_up(width);
    const size_t row = static_cast<size_t>(args_.source.outputs) * bytes_;
    const std::byte* from = source_ + static_cast<size_t>(columns.first) * bytes_;
    for (size_t i = 0; i < depth; ++i) {
      std::memcpy(to + i * line, from + (begin + i) * row, width);
    }
    const Staged staged =
        send(piece, columns.count, depth, static_cast<size_t>(columns.width), begin);
    const dim3 grid(static_cast<unsigned>((columns.count + kTile - 1) / kTile),
                    static_cast<unsigned>((depth + kTile - 1) / kTile));
    launch(context_, pack_columns, grid, dim3(kTile, kTileRows), 0, staged);
  }

  const PackArgs& args_;
  CudaContext& context_;
  size_t bytes_;  // of a value of the source
  const std::byte* source_;
  std::vector<Entry> entries_;
  int32_t step_ = 0;
};

}  // namespace

void cuda_pack(const PackArgs& args, CudaContext& context) {
  Packer packer(args, context);
  args.source.transposed ? packer.columns() : packer.lines();
}

}  // namespace tensormill
