#pragma once

#include <cstddef>

#include "nn/hash_table.h"
#include "nn/ragged_batch.h"
#include "nn/spec.h"
#include "tensor/device.h"

namespace tensormill {

// Attention of the cores kLocal and kHashed over whole sequences: every sequence of the batch
// begins at slot 0. Runs on the host, spread over the stream's threads; a query's bits depend on
// its own sequence alone.
struct ChunkedAttentionArgs {
  const AttentionSpec* spec;
  const HashTable* hashes;  // kHashed
  const float* qkv;         // [rows, qkv_rows]
  const RaggedBatch* batch;
  Rows out;       // [rows, heads * value_dim]
  void* scratch;  // chunked_attention_scratch() bytes
};
// Where the arguments lie on another device, they are brought to the host, and the result back.
void chunked_attention(const ChunkedAttentionArgs& args, Device& device, Stream stream);

size_t chunked_attention_scratch(const AttentionSpec& spec, int32_t rows);

}  // namespace tensormill
