#pragma once

// Blocks that share one row: a cluster, or a single block where the GPU has no clusters. Each holds
// a slice of the row; ranks are in ascending order of places. All functions here are called by all
// threads of all blocks of a group alike. Sums are of integers, or in one fixed order.

#include <cstdint>

namespace tensormill {

using Mass = unsigned long long;

constexpr int kGroupBlocks = 8;  // at most
constexpr int kGroupThreads = 512;
constexpr int kGroupWarps = kGroupThreads / 32;
constexpr int kBins = 2048;
constexpr uint32_t kAbsent = 0xffffffff;

union GroupValue {
  Mass mass;
  double number;
};

struct FoundBin {
  Mass before, own;
  int32_t bin;
};

// One block's part of what the group exchanges. What is exchanged in one step is kept twice, used
// in turn: a block that writes the second has seen the others arrive there, done with the first.
struct GroupMemory {
  uint32_t low[kBins], high[kBins];
  GroupValue given[2][2][kGroupBlocks];  // one from each rank, for up to two sums
  GroupValue warps[2][2][kGroupWarps];
  FoundBin found;
  int32_t place[2];
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
    const int turn = next_turn(), lane = threadIdx.x % 32;
    auto& warps = memory_.warps[turn][0];
    if (lane == 0) warps[threadIdx.x / 32].mass = x;
    __syncthreads();
    if (threadIdx.x < 32) {
      x = lane < kGroupWarps ? static_cast<uint32_t>(warps[lane].mass) : kAbsent;
      give(turn, 0, GroupValue{__reduce_min_sync(0xffffffff, x)});
    }
    sync();
    for (int r = 0; r < size_; ++r) {
      x = min(x, static_cast<uint32_t>(memory_.given[turn][0][r].mass));
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
    auto& warps = memory_.warps[turn];
    if (threadIdx.x % 32 == 0) {
      warps[0][threadIdx.x / 32].number = x;
      warps[1][threadIdx.x / 32].number = y;
    }
    __syncthreads();
    if (threadIdx.x < kGroupBlocks) {
      double own[2] = {0, 0};
      for (int w = 0; w < kGroupWarps; ++w) {
        own[0] += warps[0][w].number;
        own[1] += warps[1][w].number;
      }
      for (int which = 0; which < 2; ++which) {
        GroupValue value;
        value.number = own[which];
        give(turn, which, value);
      }
    }
    sync();
    double2 all{0, 0};
    for (int r = 0; r < size_; ++r) {
      all.x += memory_.given[turn][0][r].number;
      all.y += memory_.given[turn][1][r].number;
    }
    return all;
  }

  // The least key whose mass, with those of all keys below, reaches a target.
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
      for (int bin = threadIdx.x; bin < kBins; bin += kGroupThreads) {
        memory_.low[bin] = memory_.high[bin] = 0;
      }
      __syncthreads();
      const uint32_t mask = shift == 20 ? 0x7ff : 0x3ff;
#pragma unroll 4
      for (int i = threadIdx.x; i < count; i += kGroupThreads) {
        const uint32_t k = key(i);
        if (k == kAbsent || (shift < 20 && k >> (shift + 10) != chosen.key)) continue;
        add(k >> shift & mask, mass(i));
      }
      sync();
      const FoundBin found = find_bin([&](Mass whole) {
        if (shift == 20) goal = target(whole);
        return goal - chosen.below;
      });
      chosen.below += found.before;
      chosen.key = chosen.key << 10 | static_cast<uint32_t>(found.bin);
      chosen.own = found.own;
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
#pragma unroll 4
    for (int i = begin + lane; i < end; i += 32) own += mass(i);
    own = __shfl_sync(0xffffffff, warp_scan(own), 31);
    const int turn = next_turn();
    auto& warps = memory_.warps[turn][0];
    if (lane == 0) warps[warp].mass = own;
    __syncthreads();
    Mass before = 0, block = 0;
    for (int w = 0; w < kGroupWarps; ++w) {
      if (w == warp) before = block;
      block += warps[w].mass;
    }
    give(turn, 0, GroupValue{block});
    sync();
    Mass whole = 0;
    for (int r = 0; r < size_; ++r) {
      if (r == rank_) before += whole;
      whole += memory_.given[turn][0][r].mass;
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

  // Hands the block's value to all ranks; called by the first threads at least, with one value.
  __device__ void give(int turn, int which, GroupValue value) {
    if (threadIdx.x < size_) *at(&memory_.given[turn][which][rank_], threadIdx.x) = value;
  }

  // Exact whatever the order: a carry is added by whoever causes it.
  __device__ void add(uint32_t bin, Mass mass) {
    const auto low = static_cast<uint32_t>(mass);
    auto high = static_cast<uint32_t>(mass >> 32);
    if (low != 0 && atomicAdd(&memory_.low[bin], low) + low < low) ++high;
    if (high != 0) atomicAdd(&memory_.high[bin], high);
  }

  // The first bin at which the running sum of the group's bins reaches a goal, which follows from
  // the sum of all. Each block adds up the group's values for a share of the bins.
  template <class Goal>
  __device__ FoundBin find_bin(Goal&& goal_of) {
    constexpr int kMost = kBins / kGroupThreads;
    const int share = kBins / size_, each = (share + kGroupThreads - 1) / kGroupThreads;
    const int own_begin = threadIdx.x * each;
    Mass own[kMost] = {}, sum = 0;
#pragma unroll
    for (int i = 0; i < kMost; ++i) {
      if (i >= each || own_begin + i >= share) continue;
      own[i] = group_bin(rank_ * share + own_begin + i);
      sum += own[i];
    }
    const int turn = next_turn();
    const Mass scanned = warp_scan(sum);
    auto& warps = memory_.warps[turn][0];
    if (threadIdx.x % 32 == 31) warps[threadIdx.x / 32].mass = scanned;
    __syncthreads();
    Mass before = scanned - sum, block = 0;
    for (int w = 0; w < kGroupWarps; ++w) {
      if (w == static_cast<int>(threadIdx.x / 32)) before += block;
      block += warps[w].mass;
    }
    give(turn, 0, GroupValue{block});
    sync();
    Mass whole = 0;
    for (int r = 0; r < size_; ++r) {
      if (r == rank_) before += whole;
      whole += memory_.given[turn][0][r].mass;
    }
    const Mass goal = goal_of(whole);
    if (before < goal && goal <= before + sum) {
#pragma unroll
      for (int i = 0; i < kMost; ++i) {
        if (before < goal && goal <= before + own[i]) {
          const FoundBin found{before, own[i], rank_ * share + own_begin + i};
          for (int r = 0; r < size_; ++r) *at(&memory_.found, r) = found;
        }
        before += own[i];
      }
    }
    sync();
    return memory_.found;
  }

  // One bin's sum over the ranks.
  __device__ Mass group_bin(int bin) const {
    Mass sum = 0;
#pragma unroll
    for (int r = 0; r < kGroupBlocks; ++r) {
      if (r >= size_) continue;
      sum += static_cast<Mass>(at(memory_.high, r)[bin]) << 32 | at(memory_.low, r)[bin];
    }
    return sum;
  }

  // The first place of begin .. end at which the running sum is above the goal; one warp.
  template <class Weigh>
  __device__ int walk(int begin, int end, Mass goal, Weigh&& mass) {
    constexpr int kSteps = 4;  // places of a lane at a time
    const int lane = threadIdx.x % 32;
    Mass before = 0;
    for (int i = begin; i < end; i += 32 * kSteps) {
      const int own_begin = i + lane * kSteps;
      Mass own[kSteps], sum = 0;
#pragma unroll
      for (int j = 0; j < kSteps; ++j) {
        own[j] = own_begin + j < end ? mass(own_begin + j) : 0;
        sum += own[j];
      }
      const Mass running = before + warp_scan(sum);
      const unsigned above = __ballot_sync(0xffffffff, running > goal);
      before = __shfl_sync(0xffffffff, running, 31);
      if (above == 0) continue;
      int place = own_begin;
      Mass reached = running - sum;
#pragma unroll
      for (int j = 0; j < kSteps - 1; ++j) {
        reached += own[j];
        if (reached <= goal && place == own_begin + j) ++place;
      }
      return __shfl_sync(0xffffffff, place, __ffs(static_cast<int>(above)) - 1);
    }
    return end - 1;
  }

  GroupMemory& memory_;
  int rank_ = 0, size_ = 1;
  int turn_ = 0;
};

}  // namespace tensormill
