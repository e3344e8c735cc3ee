// Rows of logits with penalties, filters, a draw or several log-probabilities: what src/sampling
// does on the CPU. A group of blocks works on one row; each keeps its slice of the vocabulary in
// shared memory, in ascending order of ids over the ranks. No sorting: thresholds are found digit
// by digit (RowGroup::choose). Masses are whole numbers, so that their order does not matter.

#include <cuda_pipeline_primitives.h>

#include "kernels/cuda/device/row_group.cuh"
#include "kernels/cuda/device/sample_math.cuh"
#include "kernels/cuda/device/sample_row.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/sample.h"

namespace tensormill {
namespace {

constexpr float kMassOne = 0x1p44f;  // the mass of the best token; 2^19 of them fit in 64 bits
constexpr double kMassUnit = 0x1p-44;

struct TopList {
  int32_t count;
  int32_t id[kMaxTop];
  float x[kMaxTop];
};

class RowDraw {
 public:
  __device__ RowDraw(const SampleArgs& args, int64_t row, float* slice, int length,
                     GroupMemory& memory, TopList& list)
      : args_(args),
        row_(args.rows[row]),
        at_(row),
        group_(memory),
        memory_(memory),
        list_(list),
        x_(slice),
        first_(min(args.vocabulary, group_.rank() * length)),
        count_(min(length, args.vocabulary - first_)) {}

  __device__ void run(bool in_shared) {
    load(in_shared);
    bool bad = false;
    if (punishes()) {
      each([&](int i) { bad |= is_bad(x_[i]); });  // a ban could hide it
      __syncthreads();
      punish();
    }
    uint32_t best = kAbsent;
    each([&](int i) {
      bad |= is_bad(x_[i]);
      best = min(best, ~ordered(x_[i]));
    });
    best = group_.least(bad ? 0 : best);
    const float hottest = from_ordered(~best);
    if (best == 0 || isinf(hottest)) {
      if (leads()) {
        write_choice(args_, at_, -1, best == 0 ? 1 : 2, 0);
        args_.results[at_].top = 0;
      }
      return;
    }
    if (row_.sample != 0) {
      heat(hottest, row_.temperature);
      filter();
      draw();
    } else {
      each([&](int i) { x_[i] -= hottest; });
      __syncthreads();
      take_best();
    }
    list_top();
  }

 private:
  template <class F>
  __device__ void each(F&& f) {
#pragma unroll 4
    for (int i = threadIdx.x; i < count_; i += kGroupThreads) f(i);
  }
  __device__ bool leads() const {
    return group_.rank() == 0 && threadIdx.x == 0;
  }
  __device__ static float nothing() {
    return __int_as_float(0xff800000);
  }

  // Values are at most 0, or -infinity for tokens that are out. Keys ascend from the best.
  __device__ uint32_t key(int i) const {
    return x_[i] == nothing() ? kAbsent : __float_as_uint(x_[i]) & 0x7fffffff;
  }
  __device__ float weight(int i) const {
    return exp_negative(x_[i] - peak_);
  }
  __device__ static Mass mass_of(float weight) {
    return __float2ull_rn(weight * kMassOne);
  }

  // Reads the slice; kCount values at a time into shared memory.
  template <int kCount>
  __device__ void fetch(const float* logits) {
    for (int i = threadIdx.x * kCount; i < count_; i += kGroupThreads * kCount) {
      __pipeline_memcpy_async(x_ + i, logits + i, kCount * sizeof(float));
    }
    __pipeline_commit();
    __pipeline_wait_prior(0);
  }

  __device__ void load(bool in_shared) {
    const float* logits = args_.logits + at_ * args_.vocabulary + first_;
    if (!in_shared) {
      each([&](int i) { x_[i] = logits[i]; });
    } else if (reinterpret_cast<uintptr_t>(logits) % 16 == 0 && count_ % 4 == 0) {
      fetch<4>(logits);
    } else {
      fetch<1>(logits);
    }
    __syncthreads();
  }

  __device__ bool punishes() const {
    return row_.repetition_penalty != 1 || row_.presence_penalty != 0 ||
           row_.frequency_penalty != 0 || row_.no_repeat_ngram > 0 || row_.banned > 0;
  }

  // Calls f(slice's place, token) for the tokens begin .. end of the row that lie in the slice.
  template <class F>
  __device__ void tokens(int begin, int end, F&& f) {
    const int32_t* history = args_.history + row_.slot * args_.history_stride;
    for (int i = begin + threadIdx.x; i < end; i += kGroupThreads) {
      const int place = history[i] - first_;
      if (place >= 0 && place < count_) f(place, i);
    }
  }

  // Penalties and bans.
  __device__ void punish() {
    if (row_.repetition_penalty != 1) {
      const float* logits = args_.logits + at_ * args_.vocabulary + first_;
      tokens(0, row_.length, [&](int place, int) {
        const float x = logits[place];
        x_[place] = x < 0 ? x * row_.repetition_penalty : x / row_.repetition_penalty;
      });
      __syncthreads();
    }
    if (row_.presence_penalty != 0 || row_.frequency_penalty != 0) punish_output();
    if (row_.no_repeat_ngram > 0) ban_ngrams();
    for (int i = threadIdx.x; i < row_.banned; i += kGroupThreads) {
      const int place = row_.banned_ids[i] - first_;
      if (place >= 0 && place < count_) x_[place] = nothing();
    }
    __syncthreads();
  }

  // Counts of as many ids as there is room for at a time.
  __device__ void punish_output() {
    for (int begin = 0; begin < count_; begin += kBins) {
      uint32_t* counts = memory_.low;
      for (int i = threadIdx.x; i < kBins; i += kGroupThreads) counts[i] = 0;
      __syncthreads();
      tokens(row_.prompt, row_.length, [&](int place, int) {
        if (place >= begin && place < begin + kBins) atomicAdd(counts + place - begin, 1);
      });
      __syncthreads();
      for (int i = threadIdx.x; i < min(kBins, count_ - begin); i += kGroupThreads) {
        if (counts[i] == 0) continue;
        const float more = __fmul_rn(row_.frequency_penalty, static_cast<float>(counts[i]));
        x_[begin + i] -= __fadd_rn(row_.presence_penalty, more);
      }
      __syncthreads();
    }
  }

  __device__ void ban_ngrams() {
    const int context = row_.no_repeat_ngram - 1;
    const int32_t* history = args_.history + row_.slot * args_.history_stride;
    const int32_t* last = history + row_.length - context;
    tokens(context, row_.length, [&](int place, int i) {
      for (int j = 0; j < context; ++j) {
        if (history[i - context + j] != last[j]) return;
      }
      x_[place] = nothing();
    });
  }

  // What exp() takes to 0 can't be drawn.
  __device__ void heat(float hottest, float temperature) {
    each([&](int i) {
      const float x = __fdiv_rn(x_[i] - hottest, temperature);
      x_[i] = x >= -87.0f ? x : nothing();
    });
    __syncthreads();
  }

  __device__ void filter() {
    if (row_.top_k > 0) {
      const Mass k = row_.top_k;
      const auto last =
          choose_by_key([](int) -> Mass { return 1; }, [=](Mass all) { return min(k, all); });
      drop([&](int i) { return key(i) > last.key; });
    }
    if (row_.top_p < 1) keep_top_p();
    if (row_.typical_p < 1) keep_typical();
    if (row_.min_p > 0) {
      const float least = peak_ + static_cast<float>(log(static_cast<double>(row_.min_p)));
      drop([&](int i) { return x_[i] < least; });
    }
  }

  template <class Weigh, class Target>
  __device__ RowGroup::Chosen choose_by_key(Weigh&& mass, Target&& target) {
    return group_.choose(
        count_, [&](int i) { return key(i); }, mass, target);
  }

  template <class F>
  __device__ void drop(F&& f) {
    each([&](int i) {
      if (f(i)) x_[i] = nothing();
    });
    __syncthreads();
  }

  // The least mass that is at least p of all.
  __device__ static Mass share(float p, Mass all) {
    const double goal = ceil(static_cast<double>(p) * static_cast<double>(all));
    return goal < 1 ? 1 : min(all, static_cast<Mass>(goal));
  }

  // Whether a token comes after the `kept` first ones with the chosen key: those with the key
  // `last` stay up to the id `cut`.
  __device__ int32_t cut_ties(uint32_t last, Mass kept, Mass ties) {
    if (kept >= ties) return INT32_MAX;
    return group_
        .locate(
            count_, first_, [&](int i) -> Mass { return key(i) == last; },
            [=](Mass) { return kept - 1; })
        .index;
  }

  __device__ bool is_after(int i, uint32_t last, int32_t cut) const {
    const uint32_t own = key(i);
    return own > last || (own == last && first_ + i > cut);
  }

  __device__ void keep_top_p() {
    Mass goal = 0;
    const auto last = choose_by_key([&](int i) { return mass_of(weight(i)); },
                                    [&](Mass all) { return goal = share(row_.top_p, all); });
    const Mass one = mass_of(exp_negative(-__uint_as_float(last.key) - peak_));
    const int32_t cut = cut_ties(last.key, (goal - last.below + one - 1) / one, last.own / one);
    drop([&](int i) { return is_after(i, last.key, cut); });
  }

  __device__ void keep_typical() {
    double total = 0;
    each([&](int i) { total += weight(i); });
    total = group_.sum(total, 0).x;
    const double log_total = log(total), peak = peak_;
    double entropy = 0;
    each([&](int i) {
      if (key(i) != kAbsent) entropy += weight(i) / total * (log_total - (x_[i] - peak));
    });
    entropy = group_.sum(entropy, 0).x;
    const auto distance = [&](int i) {
      if (key(i) == kAbsent) return kAbsent;
      const double surprise = log_total - (x_[i] - peak);
      return __float_as_uint(static_cast<float>(fabs(surprise - entropy)));
    };
    const auto last = group_.choose(
        count_, distance, [&](int i) { return mass_of(weight(i)); },
        [&](Mass all) { return share(row_.typical_p, all); });
    drop([&](int i) { return distance(i) > last.key; });
    uint32_t best = kAbsent;
    each([&](int i) { best = min(best, key(i)); });
    peak_ = -__uint_as_float(group_.least(best));
  }

  __device__ void draw() {
    const double uniform = uniform_draw(row_.seed, row_.length - row_.prompt);
    const auto place = group_.locate(
        count_, first_, [&](int i) { return mass_of(weight(i)); },
        [=](Mass all) {
          return min(all - 1, static_cast<Mass>(uniform * static_cast<double>(all)));
        });
    log_total_ = log(static_cast<double>(place.whole) * kMassUnit);
    write(place.index);
  }

  __device__ void take_best() {
    double total = 0;
    each([&](int i) { total += weight(i); });
    log_total_ = log(group_.sum(total, 0).x);
    const auto place = group_.locate(
        count_, first_, [&](int i) -> Mass { return x_[i] == 0; }, [](Mass) -> Mass { return 0; });
    write(place.index);
  }

  __device__ float log_prob(float x) const {
    return static_cast<float>(static_cast<double>(x) - static_cast<double>(peak_) - log_total_);
  }

  __device__ void write(int32_t index) {
    const int i = index - first_;
    if (threadIdx.x == 0 && i >= 0 && i < count_) {
      write_choice(args_, at_, index, 0, log_prob(x_[i]));
    }
  }

  __device__ void list_top() {
    if (row_.top == 0) {
      if (leads()) args_.results[at_].top = 0;
      return;
    }
    if (leads()) list_.count = 0;
    Mass goal = 0;
    const auto last =
        choose_by_key([](int) -> Mass { return 1; },
                      [&](Mass all) { return goal = min(static_cast<Mass>(row_.top), all); });
    const int32_t cut = cut_ties(last.key, goal - last.below, last.own);
    TopList& list = *group_.at(&list_, 0);
    each([&](int i) {
      if (key(i) == kAbsent || is_after(i, last.key, cut)) return;
      const int place = atomicAdd(&list.count, 1);
      list.id[place] = first_ + i;
      list.x[place] = x_[i];
    });
    group_.sync();
    if (group_.rank() == 0 && threadIdx.x < list_.count) order_top();
  }

  // One thread an entry: its place is how many are before it.
  __device__ void order_top() {
    const int own = threadIdx.x;
    int place = 0;
    for (int i = 0; i < list_.count; ++i) {
      place +=
          list_.x[i] > list_.x[own] || (list_.x[i] == list_.x[own] && list_.id[i] < list_.id[own]);
    }
    SampleResult& result = args_.results[at_];
    result.top_ids[place] = list_.id[own];
    result.top_log_probs[place] = log_prob(list_.x[own]);
    if (own == 0) result.top = list_.count;
  }

  const SampleArgs& args_;
  const SampleRow& row_;
  int64_t at_;
  RowGroup group_;
  GroupMemory& memory_;
  TopList& list_;
  float* x_;  // the slice's values
  int first_, count_;
  float peak_ = 0;  // the best value that is left
  double log_total_ = 0;
};

// spill: [rows, vocabulary] where slices don't fit in shared memory, or null.
__global__ void __launch_bounds__(kGroupThreads, 2)
    draw_rows(const __grid_constant__ SampleArgs args, float* spill, int length) {
  release_next();
  wait_for_previous();
  extern __shared__ float4 slices[];
  __shared__ GroupMemory memory;
  __shared__ TopList list;
  const int64_t row = blockIdx.y;
  if (row >= *args.live.count || is_plain(args.rows[row])) return;
  auto* slice = reinterpret_cast<float*>(slices);
  if (spill != nullptr) slice = spill + row * args.vocabulary + blockIdx.x * length;
  RowDraw(args, row, slice, length, memory, list).run(spill == nullptr);
  RowGroup(memory).sync();  // nobody leaves while others read here
}

// How rows are spread over blocks on a device.
struct Spread {
  int blocks, length;
  size_t shared;  // bytes; 0: slices are in device memory
};

Spread spread_of(int32_t vocabulary, int major, size_t max_shared) {
  const int blocks = major >= 9 ? kGroupBlocks : 1;
  const int length = (vocabulary + 4 * blocks - 1) / (4 * blocks) * 4;
  const size_t bytes = sizeof(float) * static_cast<size_t>(length);
  const size_t room = max_shared - sizeof(GroupMemory) - sizeof(TopList) - 1024;
  return {blocks, length, bytes <= room ? bytes : 0};
}

}  // namespace

size_t sample_spill(int32_t rows, int32_t vocabulary) {
  int device = 0, major = 0, shared = 0;
  check_cuda(cudaGetDevice(&device), "cudaGetDevice");
  check_cuda(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
             "cudaDeviceGetAttribute");
  check_cuda(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
             "cudaDeviceGetAttribute");
  if (spread_of(vocabulary, major, static_cast<size_t>(shared)).shared > 0) return 0;
  return static_cast<size_t>(rows) * static_cast<size_t>(vocabulary);
}

void cuda_sample_draw(const SampleArgs& args, float* spill, CudaContext& context) {
  const Spread spread = spread_of(args.vocabulary, context.major, context.max_shared);
  if (spread.shared > 0) allow_shared(draw_rows, spread.shared);
  launch_clusters(context, spread.blocks, draw_rows, dim3(spread.blocks, args.live.bound),
                  kGroupThreads, spread.shared, args, spread.shared > 0 ? nullptr : spill,
                  spread.length);
}

}  // namespace tensormill
