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
    if (leads()) {
      list_.count = 0;
      args_.results[at_].top = 0;
    }
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
      }
      return;
    }
    heat(hottest);
    go_through_stages();
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
    group_.sync();  // all blocks have started: they may write to each other from here on
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

  // Values relative to the best one. What exp() takes to 0 can't be drawn.
  __device__ void heat(float hottest) {
    const bool draws = row_.sample != 0;
    const float temperature = draws ? row_.temperature : 1;
    each([&](int i) {
      const float x = __fdiv_rn(x_[i] - hottest, temperature);
      x_[i] = draws && x < -87.0f ? nothing() : x;
    });
    __syncthreads();
  }

  // What is done to the values of a row, in this order. One loop with one call of choose(): the
  // code stays short, and it is cold when a step comes to it.
  enum Stage { kTopK, kTopP, kTypical, kMinP, kPick, kList, kStages };

  __device__ void go_through_stages() {
#pragma unroll 1
    for (int stage = row_.sample != 0 ? kTopK : kPick; stage < kStages; ++stage) {
      if (stage == kMinP && row_.min_p > 0) keep_min_p();
      if (stage == kPick) pick();
      const bool top_k = stage == kTopK && row_.top_k > 0;
      const bool top_p = stage == kTopP && row_.top_p < 1;
      const bool typical = stage == kTypical && row_.typical_p < 1;
      const bool list = stage == kList && row_.top > 0;
      if (!top_k && !top_p && !typical && !list) continue;
      if (typical) measure_surprise();
      const auto own_key = [&](int i) { return typical ? distance(i) : key(i); };
      Mass goal = 0;
      const auto last = group_.choose(
          count_, own_key, [&](int i) { return top_p || typical ? mass_of(weight(i)) : Mass{1}; },
          [&](Mass all) {
            goal = top_k ? row_.top_k : row_.top;
            if (top_p || typical) goal = share(top_p ? row_.top_p : row_.typical_p, all);
            return goal = min(goal, all);
          });
      // Ties with the last one stay, but for top-p and a list.
      int32_t cut = INT32_MAX;
      if ((top_p || list) && goal < last.below + last.own) {
        const Mass one = list ? 1 : mass_of(exp_negative(-__uint_as_float(last.key) - peak_));
        cut = cut_ties(last.key, (goal - last.below + one - 1) / one, last.own / one);
      }
      const auto stays = [&](int i) {
        const uint32_t own = own_key(i);
        return own < last.key || (own == last.key && first_ + i <= cut);
      };
      if (list) {
        list_top(stays);
      } else {
        each([&](int i) {
          if (!stays(i)) x_[i] = nothing();
        });
        __syncthreads();
      }
      if (typical) find_peak();
    }
  }

  __device__ void keep_min_p() {
    const float least = peak_ + static_cast<float>(log(static_cast<double>(row_.min_p)));
    each([&](int i) {
      if (x_[i] < least) x_[i] = nothing();
    });
    __syncthreads();
  }

  // The least mass that is at least p of all.
  __device__ static Mass share(float p, Mass all) {
    const double goal = ceil(static_cast<double>(p) * static_cast<double>(all));
    return goal < 1 ? 1 : static_cast<Mass>(goal);
  }

  // The last id that stays where only `kept` of the tokens with the key `last` do.
  __device__ int32_t cut_ties(uint32_t last, Mass kept, Mass ties) {
    if (kept >= ties) return INT32_MAX;
    return group_
        .locate(
            count_, first_, [&](int i) -> Mass { return key(i) == last; },
            [=](Mass) { return kept - 1; })
        .index;
  }

  // What distance() needs: the entropy and the logarithm of the sum of weights.
  __device__ void measure_surprise() {
    double total = 0;
    each([&](int i) { total += weight(i); });
    total = group_.sum(total);
    log_total_ = log(total);
    double entropy = 0;
    each([&](int i) {
      if (key(i) != kAbsent) entropy += weight(i) / total * (log_total_ - (x_[i] - peak_));
    });
    entropy_ = group_.sum(entropy);
  }

  __device__ uint32_t distance(int i) const {
    if (key(i) == kAbsent) return kAbsent;
    const double surprise = log_total_ - (static_cast<double>(x_[i]) - peak_);
    return __float_as_uint(static_cast<float>(fabs(surprise - entropy_)));
  }

  __device__ void find_peak() {
    uint32_t best = kAbsent;
    each([&](int i) { best = min(best, key(i)); });
    peak_ = -__uint_as_float(group_.least(best));
  }

  // Draws a token, or takes the best.
  __device__ void pick() {
    const bool draws = row_.sample != 0;
    const double uniform = draws ? uniform_draw(row_.seed, row_.length - row_.prompt) : 0;
    const auto place = group_.locate(
        count_, first_,
        [&](int i) { return draws ? mass_of(weight(i)) : static_cast<Mass>(x_[i] == 0); },
        [&](Mass all) {
          return min(all - 1, static_cast<Mass>(uniform * static_cast<double>(all)));
        });
    double total = static_cast<double>(place.whole) * kMassUnit;
    if (!draws) {
      total = 0;
      each([&](int i) { total += weight(i); });
      total = group_.sum(total);
    }
    log_total_ = log(total);
    const int i = place.index - first_;
    if (threadIdx.x == 0 && i >= 0 && i < count_) {
      write_choice(args_, at_, place.index, 0, log_prob(x_[i]));
    }
  }

  __device__ float log_prob(float x) const {
    return static_cast<float>(static_cast<double>(x) - static_cast<double>(peak_) - log_total_);
  }

  // The first rank gathers the tokens that stay.
  template <class F>
  __device__ void list_top(F&& stays) {
    TopList& list = *group_.at(&list_, 0);
    each([&](int i) {
      if (key(i) == kAbsent || !stays(i)) return;
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
    if (own == 0) result.top = list_.count;
    result.top_ids[place] = list_.id[own];
    result.top_log_probs[place] = log_prob(list_.x[own]);
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
  double log_total_ = 0, entropy_ = 0;
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
  const bool plain = is_plain(args.rows[row]);
  if (plain | (row >= *args.live.count)) return;
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

// By the code that runs there, which may be for an older GPU.
Spread spread_of(int32_t vocabulary, size_t max_shared) {
  cudaFuncAttributes attributes{};
  check_cuda(cudaFuncGetAttributes(&attributes, draw_rows), "cudaFuncGetAttributes");
  const int blocks = attributes.ptxVersion >= 90 ? kGroupBlocks : 1;
  const int length = (vocabulary + 4 * blocks - 1) / (4 * blocks) * 4;
  const size_t bytes = sizeof(float) * static_cast<size_t>(length);
  return {blocks, length, bytes + attributes.sharedSizeBytes <= max_shared ? bytes : 0};
}

}  // namespace

size_t sample_spill(int32_t rows, int32_t vocabulary) {
  int device = 0, shared = 0;
  check_cuda(cudaGetDevice(&device), "cudaGetDevice");
  check_cuda(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
             "cudaDeviceGetAttribute");
  if (spread_of(vocabulary, static_cast<size_t>(shared)).shared > 0) return 0;
  return static_cast<size_t>(rows) * static_cast<size_t>(vocabulary);
}

void cuda_sample_draw(const SampleArgs& args, float* spill, CudaContext& context) {
  const Spread spread = spread_of(args.vocabulary, context.max_shared);
  if (spread.shared > 0) allow_shared(draw_rows, spread.shared);
  launch_clusters(context, draw_rows, dim3(spread.blocks, args.live.bound), kGroupThreads,
                  spread.blocks, spread.shared, args, spread.shared > 0 ? nullptr : spill,
                  spread.length);
}

}  // namespace tensormill
