#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "nn/spec.h"

namespace tensormill {

// Tokens that a sequence of so many counts as: see ChunkSpec.
int32_t padded_length(const ChunkSpec& chunk, int32_t tokens);

// The random directions of one hashed attention.
struct Rotations {
  std::vector<int32_t> factors;  // of the number of buckets
  int32_t columns = 0;           // half the factors' sum
  // [heads, dim, rounds, columns]; layers with one seed share them
  std::shared_ptr<const std::vector<float>> values;
};

// Rotations for every number of buckets that a layer may use. Where the spec names no buckets their
// number follows from a length, as in the reference, which fixes it at the first step that hashes.
class HashTable {
 public:
  // `own_seed`: where the spec has none. `known`: a table to share rotations with, or null.
  HashTable(const AttentionSpec& attention, uint32_t own_seed, const HashTable* known);

  // For a sequence of a request whose prompt has so many tokens.
  const Rotations& rotations(int32_t prompt) const;

 private:
  ChunkSpec chunk_;
  bool derived_;
  std::map<int32_t, Rotations> rotations_;  // by the power of two derived; 0 where it is fixed
};

// Values of all rotations of a layer: a caller bounds them before it makes a HashTable.
int64_t rotation_values(const AttentionSpec& attention);

}  // namespace tensormill
