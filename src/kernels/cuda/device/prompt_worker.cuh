#pragma once

// The warpgroups of products: 64 query rows each.

#include "kernels/cuda/device/prompt_shared.cuh"
#include "kernels/cuda/device/prompt_softmax.cuh"

namespace tensormill {

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// Unused places of the cache may hold anything, and 0 * NaN is NaN: their values become zeros.
template <int kKeys, int kColumns>
__device__ __forceinline__ void clear_unused(const PromptWork& work, int32_t key, int group,
                                             KeyTile<kKeys, kColumns>& v) {
  if (key >= work.begin && key + kKeys <= work.keys) return;
  const int token = static_cast<int>(threadIdx.x % 128);
  if (token < kKeys && (key + token < work.begin || key + token >= work.keys)) {
#pragma unroll
    for (int column = 0; column < kColumns; ++column) {
      auto* row = reinterpret_cast<uint4*>(&v[column][token * kColumn]);
#pragma unroll
      for (int i = 0; i < 8; ++i) row[i] = uint4{0, 0, 0, 0};
    }
  }
  fence_shared();
  meet(3 + group, 128);
}

// s = q k^T.
template <class T, int kKeys, int kColumns>
__device__ __forceinline__ void multiply_keys(const uint16_t (&q)[kColumns][64 * kColumn],
                                              const KeyTile<kKeys, kColumns>& k,
                                              float (&s)[kKeys / 2]) {
  const uint64_t a = matrix_at(q, 16), b = matrix_at(k, 16);
#pragma unroll
  for (int i = 0; i < kColumns * 4; ++i) {
    const uint32_t in_row = i % 4 * 32;
    multiply<T>(matrix_on(a, i / 4 * sizeof q[0] + in_row),
                matrix_on(b, i / 4 * sizeof k[0] + in_row), i > 0, s);
  }
}

// o += p v.
template <class T, int kKeys, int kColumns, int kParts, int N>
__device__ __forceinline__ void multiply_values(const uint32_t (&p)[kKeys / 4],
                                                const KeyTile<kKeys, kColumns>& v,
                                                float (&o)[kParts][N]) {
  const uint64_t b = matrix_at(v, sizeof v[0]);
#pragma unroll
  for (int i = 0; i < kKeys / 16; ++i) {
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      const uint32_t at = part * kColumns / kParts * sizeof v[0] + i * 16 * kColumn * 2;
      multiply<T>(p + 4 * i, matrix_on(b, at), o[part]);
    }
  }
}

// A warp's 16 rows of the result, through its part of the queries' place in shared memory.
template <int kParts, int N, int kPlaceColumns>
__device__ __forceinline__ void write_rows(const AttentionArgs& args, const PromptWork& work,
                                           int first, const float (&o)[kParts][N],
                                           uint16_t (&place)[kPlaceColumns][64 * kColumn]) {
  constexpr int kColumns = kParts * N / 32;
  const int lane = static_cast<int>(threadIdx.x % 32), row = first % 64 + lane / 4;
#pragma unroll
  for (int e = 0; e < kColumns * 32; e += 2) {
    const int piece = (e / 4 % 8) ^ (lane / 4);  // spread over the banks
    const int at = (row + e / 2 % 2 * 8) * kColumn + piece * 8 + lane % 4 * 2;
    *reinterpret_cast<uint32_t*>(&place[e / 32][at]) =
        args.out.type == DType::kBF16
            ? pack_pair<__nv_bfloat16>(o[e / N][e % N], o[e / N][e % N + 1])
            : pack_pair<__half>(o[e / N][e % N], o[e / N][e % N + 1]);
  }
  __syncwarp();
  constexpr int kPieces = kColumns * 8, kTogether = 32 / kPieces;
  const int piece = lane % kPieces;
  auto* out = static_cast<uint16_t*>(args.out.x) + work.row * args.out.stride +
              static_cast<int64_t>(work.head) * args.value_dim + piece * 8;
#pragma unroll
  for (int i = lane / kPieces; i < 16; i += kTogether) {
    const int from = (first % 64 + i) * kColumn + (piece % 8 ^ i % 8) * 8;
    if (first + i < work.rows && piece * 8 < args.value_dim) {
      *reinterpret_cast<uint4*>(out + (first + i) * args.out.stride) =
          *reinterpret_cast<const uint4*>(&place[piece / 8][from]);
    }
  }
}

// A thread of a warpgroup of products, and the work it is at.
template <class T, class Shape, bool kTerms>
struct PromptWorker {
  static constexpr int kKeys = Shape::kKeys;
  PromptShared<Shape>& shared;
  const AttentionArgs& args;
  int group, row;  // 0 or 1; first row of the warp in the tile
  Ring<Shape::kStages> k, v;
  PromptRows rows;
  int32_t first;     // key of the first tile
  int32_t position;  // of the group's first row
  float slope, scale;
  float s[kKeys / 2], o[Shape::kParts][Shape::kPart / 2], keep[2];
  uint32_t p[kKeys / 4];

  __device__ __forceinline__ void release(uint64_t* barrier) {
    __syncwarp();
    if (threadIdx.x % 32 == 0) arrive(barrier);
  }

  __device__ __forceinline__ void prepare(const PromptWork& work) {
    first = first_key(work);
    position = work.position + group * 64;
    set_rows(args.score, work, work.position + row + static_cast<int>(threadIdx.x % 32 / 4), rows);
    if (kTerms && args.score.slopes != nullptr) slope = args.score.slopes[work.head];
  }

  __device__ __forceinline__ void start_scores(int slot) {
    fence_products();
    multiply_keys<T, kKeys>(shared.q[slot][group], shared.k[k.stage], s);
    commit_products();
  }

  // kLater: products that were started after the scores'.
  template <int kLater>
  __device__ __forceinline__ void end_scores() {
    wait_products<kLater>();
    hold(s);
    release(&shared.k_empty[k.stage]);
    k.advance();
  }

  template <bool kMasked>
  __device__ __forceinline__ void weigh(const PromptWork& work, int tile) {
    const int32_t key = first + tile * kKeys + static_cast<int32_t>(threadIdx.x % 4) * 2;
    if constexpr (kTerms) add_terms(args.score, rows, slope, key, s);
    if constexpr (kMasked) mask_unseen(args.score, rows, work.prefix, key, s);
    soften<kMasked>(rows, scale, s, keep);
    hold(s);
  }

  __device__ __forceinline__ void start_values(const PromptWork& work, int tile) {
    clear_unused<kKeys, Shape::kValueColumns>(work, first + tile * kKeys, group, shared.v[v.stage]);
    fence_products();
    multiply_values<T, kKeys, Shape::kValueColumns>(p, shared.v[v.stage], o);
    commit_products();
  }

  __device__ __forceinline__ void end_values(int stage) {
    wait_products<0>();
    for (auto& part : o) hold(part);
    release(&shared.v_empty[stage]);
  }

  // The weights of a work's first tile, without anything else to do.
  __device__ __forceinline__ void begin(const PromptWork& work, int slot) {
    prepare(work);
    wait(&shared.k_full[k.stage], k.parity);
    start_scores(slot);
    end_scores<0>();
    weigh<true>(work, key_tiles<kKeys>(work) - 1);
    pack_weights<T>(s, p);
    clear_result();
    wait(&shared.v_full[v.stage], v.parity);
  }

  // The scores of one tile while the values of the one before are added.
  template <bool kMasked>
  __device__ __forceinline__ void step(const PromptWork& work, int slot, int tile) {
    wait(&shared.k_full[k.stage], k.parity);
    meet(1 + group, 256);
    start_scores(slot);
    start_values(work, tile + 1);
    come(2 - group, 256);
    end_scores<1>();
    weigh<kMasked>(work, tile);
    // Waiting for the next values here keeps the compiler from ending the product before the
    // weights are made.
    const int stage = v.stage;
    v.advance();
    wait(&shared.v_full[v.stage], v.parity);
    end_values(stage);
    pack_weights<T>(s, p);
    for (auto& part : o) rescale(keep, part);
  }

  __device__ __forceinline__ void do_steps(const PromptWork& work, int slot) {
    // Between these tiles no key needs a mask.
    const int clean_end = (min(seen_end(args.score, work, position), work.keys) - first) / kKeys;
    const int clean = (seen_begin(args.score, position + 63) - first + kKeys - 1) / kKeys;
    for (int tile = key_tiles<kKeys>(work) - 2; tile >= 0; --tile) {
      if (tile >= clean && tile < clean_end) {
        step<false>(work, slot, tile);
      } else {
        step<true>(work, slot, tile);
      }
    }
  }

  // A group without rows takes its turns all the same.
  __device__ __forceinline__ void skip_steps(const PromptWork& work) {
#pragma unroll 1
    for (int tile = key_tiles<kKeys>(work) - 1; tile >= 0; --tile) {
      wait(&shared.k_full[k.stage], k.parity);
      release(&shared.k_empty[k.stage]);
      k.advance();
      wait(&shared.v_full[v.stage], v.parity);
      release(&shared.v_empty[v.stage]);
      v.advance();
      if (tile > 0) take_turn();
    }
  }

  __device__ __forceinline__ void take_turn() {
    meet(1 + group, 256);
    come(2 - group, 256);
  }

  __device__ __forceinline__ void clear_result() {
    for (auto& part : o) {
#pragma unroll
      for (float& x : part) x = 0;
    }
  }

  __device__ __forceinline__ void finish(const PromptWork& work, int slot,
                                         const float (&inverse)[2]) {
    for (auto& part : o) rescale(inverse, part);
    meet(3 + group, 128);  // no product reads the queries any more
    write_rows(args, work, row, o, shared.q[slot][group]);
    fence_shared();
    release(&shared.q_empty[slot]);
  }

  __device__ __forceinline__ void end(const PromptWork& work, int slot) {
    start_values(work, 0);
    end_values(v.stage);
    v.advance();
    float inverse[2];
    invert_sums(rows, inverse);
    finish(work, slot, inverse);
  }

  // The end of one work and the beginning of the next.
  __device__ __forceinline__ void cross(const PromptWork& work, int slot,
                                        const PromptWork& following,
                                        const Ring<Shape::kSlots>& next) {
    wait(&shared.k_full[k.stage], k.parity);
    meet(1 + group, 256);
    start_scores(next.stage);
    start_values(work, 0);
    come(2 - group, 256);
    float inverse[2];
    invert_sums(rows, inverse);
    prepare(following);
    end_scores<1>();
    weigh<true>(following, key_tiles<kKeys>(following) - 1);
    wait(&shared.q_full[next.stage], next.parity);  // long over: for the compiler, as in step()
    end_values(v.stage);
    v.advance();
    pack_weights<T>(s, p);
    finish(work, slot, inverse);
    clear_result();
    wait(&shared.v_full[v.stage], v.parity);
  }

  __device__ __forceinline__ bool has_rows(const PromptWork& work) const {
    return work.sequence >= 0 && group * 64 < work.rows;
  }

  __device__ __forceinline__ void work_all() {
    if (group == 1) come(1, 256);  // group 0 goes first
    Ring<Shape::kSlots> slot, next;
    wait(&shared.q_full[0], 0);
    PromptWork work = shared.work[0];
    if (has_rows(work)) begin(work, 0);
    while (work.sequence >= 0) {
      const bool busy = has_rows(work);
      if (busy) {
        do_steps(work, slot.stage);
      } else {
        skip_steps(work);
        release(&shared.q_empty[slot.stage]);
      }
      if (Shape::kSlots == 1 && busy) end(work, slot.stage);
      next.advance();
      wait(&shared.q_full[next.stage], next.parity);
      const PromptWork following = shared.work[next.stage];
      if (Shape::kSlots > 1 && busy && has_rows(following)) {
        cross(work, slot.stage, following, next);
      } else {
        if (following.sequence >= 0) take_turn();
        if (Shape::kSlots > 1 && busy) end(work, slot.stage);
        if (has_rows(following)) begin(following, next.stage);
      }
      work = following;
      slot = next;
    }
  }
};

#endif

}  // namespace tensormill
