#pragma once

// Blocks that share one row: a cluster, or a single block where the GPU has no clusters. Each holds
// a slice of the row; ranks are in ascending order of places. All functions here are called by all
// threads of all blocks of a group alike. Sums are of integers, or in one fixed order.

#include <cstdint>

namespace tensormill {

using Mass = unsigned long long;

constexpr int kGroupThreads = 512;
constexpr int kGroupWarps = kGroupThreads / 32;
constexpr int kBins = 2048;
constexpr uint32_t kAbsent = 0xffffffff;

// One block's part of what the group exchanges. Everything that others read is kept twice, used in
// turn: a block that writes the second has seen the others arrive there, done with the first.
struct GroupMemory {
  uint32_t low[2][kBins], high[2][kBins];
  Mass mass[2];
  double sums[2][2];
  Mass found_before, found_own;
  int32_t found_bin;
  int32_t place[2];
  union {
    Mass mass[kGroupWarps];
    double sums[2][kGroupWarps];
  } warps[2];
};

__device__ __forceinline__ Mass warp_scan(Mass x) {
  const int lane = threadIdx.x % 32;
  for (int step = 1; step < 32; step *= 2) {
    const Mass before = __shfl_up_sync(0xffffffff, x, step);
    if (lane >= step) x += before;
  }
  return x;
}

class RowGroup {
 public:
  __device__ explicit RowGroup(GroupMemory& memory) : memory_(memory) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    rank_ = static_cast<int>(__clusterRelativeBlockRank());
    size_ = static_cast<int>(__clusterSizeInBlocks());
#endif
  }
  __device__ int rank() const {
    return rank_;
  }
  __device__ int size() const {
    return size_;
  }

  // A barrier of the group; what was written before is seen by all.
  __device__ void sync() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    __cluster_barrier_arrive();
    __cluster_barrier_wait();
#else
    __syncthreads();
#endif
  }

  // The same place in another block's shared memory.
  template <class T>
  __device__ T* at(T* own, int rank) const {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    return static_cast<T*>(__cluster_map_shared_rank(own, rank));
#else
    return own;
#endif
  }

  // The smallest value of the group's threads.
  __device__ uint32_t least(uint32_t x) {
    x = __reduce_min_sync(0xffffffff, x);
    const int turn = next_turn();
    auto& warps = memory_.warps[turn].mass;
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = x;
    __syncthreads();
    if (threadIdx.x == 0) {
      for (const Mass other : warps) x = min(x, static_cast<uint32_t>(other));
      memory_.mass[turn] = x;
    }
    sync();
    for (int r = 0; r < size_; ++r) {
      x = min(x, static_cast<uint32_t>(*at(&memory_.mass[turn], r)));
    }
    return x;
  }

  // The sums of two values over the group's threads.
  __device__ double2 sum(double x, double y) {
    for (int step = 16; step > 0; step /= 2) {
      x += __shfl_xor_sync(0xffffffff, x, step);
      y += __shfl_xor_sync(0xffffffff, y, step);
    }
    const int turn = next_turn();
    auto& warps = memory_.warps[turn].sums;
    if (threadIdx.x % 32 == 0) {
      warps[0][threadIdx.x / 32] = x;
      warps[1][threadIdx.x / 32] = y;
    }
    __syncthreads();
    if (threadIdx.x < 2) {
      double own = 0;
      for (const double other : warps[threadIdx.x]) own += other;
      memory_.sums[turn][threadIdx.x] = own;
    }
    sync();
    double2 all{0, 0};
    for (int r = 0; r < size_; ++r) {
      all.x += at(memory_.sums[turn], r)[0];
      all.y += at(memory_.sums[turn], r)[1];
    }
    return all;
  }

  // The least key whose masses, with those of all keys below, reach a target.
  struct Chosen {
    uint32_t key;
    Mass below, own;  // mass of the keys below, and of the key itself
  };

  // key(i): of place i < count of this block, below 2^31, or kAbsent. mass(i): of that place. The
  // target, from the group's whole mass, is at least 1 and at most that.
  template <class Key, class Weigh, class Target>
  __device__ Chosen choose(int count, Key&& key, Weigh&& mass, Target&& target) {
    Chosen chosen{0, 0, 0};
    Mass goal = 0;
    for (int shift = 20; shift >= 0; shift -= 10) {
      const int turn = next_turn();
      for (int bin = threadIdx.x; bin < kBins; bin += kGroupThreads) {
        memory_.low[turn][bin] = memory_.high[turn][bin] = 0;
      }
      __syncthreads();
      const uint32_t mask = shift == 20 ? 0x7ff : 0x3ff;
      for (int i = threadIdx.x; i < count; i += kGroupThreads) {
        const uint32_t k = key(i);
        if (k == kAbsent || (shift < 20 && k >> (shift + 10) != chosen.key)) continue;
        add(turn, k >> shift & mask, mass(i));
      }
      sync();
      const Mass whole = find_bin(turn, [&](Mass all) {
        if (shift == 20) goal = target(all);
        return goal - chosen.below;
      });
      chosen.below += memory_.found_before;
      chosen.key = shift == 20 ? memory_.found_bin : chosen.key << 10 | memory_.found_bin;
      chosen.own = whole;
    }
    return chosen;
  }

  struct Place {
    int32_t index;  // first + the place in its block
    Mass whole;
  };

  // The first place, in order of ranks and places, where the running sum of masses is above the
  // target, which is below the group's whole mass. first: of the block's places in the row.
  template <class Weigh, class Target>
  __device__ Place locate(int count, int first, Weigh&& mass, Target&& target) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int length = (count + kGroupThreads - 1) / kGroupThreads * 32;
    const int begin = min(count, warp * length), end = min(count, begin + length);
    Mass own = 0;
    for (int i = begin + lane; i < end; i += 32) own += mass(i);
    own = __shfl_sync(0xffffffff, warp_scan(own), 31);
    const int turn = next_turn();
    auto& warps = memory_.warps[turn].mass;
    if (lane == 0) warps[warp] = own;
    __syncthreads();
    Mass before = 0, block = 0;
    for (int w = 0; w < kGroupWarps; ++w) {
      if (w == warp) before = block;
      block += warps[w];
    }
    if (threadIdx.x == 0) memory_.mass[turn] = block;
    sync();
    Mass whole = 0;
    for (int r = 0; r < size_; ++r) {
      if (r == rank_) before += whole;
      whole += *at(&memory_.mass[turn], r);
    }
    const Mass goal = target(whole);
    if (before <= goal && goal < before + own) {
      const int index = first + walk(begin, end, goal - before, mass);
      if (lane < size_) *at(&memory_.place[turn], lane) = index;
    }
    sync();
    return {memory_.place[turn], whole};
  }

 private:
  __device__ int next_turn() {
    turn_ ^= 1;
    return turn_;
  }

  // Exact whatever the order: a carry is added by whoever causes it.
  __device__ void add(int turn, uint32_t bin, Mass mass) {
    const auto low = static_cast<uint32_t>(mass);
    auto high = static_cast<uint32_t>(mass >> 32);
    if (low != 0 && atomicAdd(&memory_.low[turn][bin], low) + low < low) ++high;
    if (high != 0) atomicAdd(&memory_.high[turn][bin], high);
  }

  // Sets found_bin to the first bin at which the running sum reaches the goal, found_before to the
  // sum before it. Returns that bin's sum.
  template <class Goal>
  __device__ Mass find_bin(int turn, Goal&& goal_of) {
    constexpr int kOwn = kBins / kGroupThreads;
    Mass own[kOwn] = {};
    for (int r = 0; r < size_; ++r) {
      const uint32_t *low = at(memory_.low[turn], r), *high = at(memory_.high[turn], r);
#pragma unroll
      for (int i = 0; i < kOwn; ++i) {
        const int bin = threadIdx.x * kOwn + i;
        own[i] += static_cast<Mass>(high[bin]) << 32 | low[bin];
      }
    }
    Mass sum = 0;
    for (const Mass one : own) sum += one;
    const Mass scanned = warp_scan(sum);
    auto& warps = memory_.warps[turn].mass;
    if (threadIdx.x % 32 == 31) warps[threadIdx.x / 32] = scanned;
    __syncthreads();
    Mass before = scanned - sum, whole = 0;
    for (int w = 0; w < kGroupWarps; ++w) {
      if (w == threadIdx.x / 32) before += whole;
      whole += warps[w];
    }
    const Mass goal = goal_of(whole);
    if (before < goal && goal <= before + sum) {
#pragma unroll
      for (int i = 0; i < kOwn; ++i) {
        if (before < goal && goal <= before + own[i]) {
          memory_.found_bin = threadIdx.x * kOwn + i;
          memory_.found_before = before;
          memory_.found_own = own[i];
        }
        before += own[i];
      }
    }
    __syncthreads();
    return memory_.found_own;
  }

  // The first place of begin .. end at which the running sum is above the goal; one warp.
  template <class Weigh>
  __device__ int walk(int begin, int end, Mass goal, Weigh&& mass) {
    Mass before = 0;
    for (int i = begin; i < end; i += 32) {
      const int lane = threadIdx.x % 32;
      const Mass running = before + warp_scan(i + lane < end ? mass(i + lane) : 0);
      const unsigned above = __ballot_sync(0xffffffff, running > goal);
      if (above != 0) return i + __ffs(static_cast<int>(above)) - 1;
      before = __shfl_sync(0xffffffff, running, 31);
    }
    return end - 1;
  }

  GroupMemory& memory_;
  int rank_ = 0, size_ = 1;
  int turn_ = 0;
};

}  // namespace tensormill
