#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "artifacts/adapter_config.h"
#include "artifacts/tensor_index.h"

namespace tensormill {

// What an adapter does to one module of the base model. Tensors belong to the Adapter; null: none.
struct AdapterModule {
  const NamedTensor* a = nullptr;          // [rank, inputs]; of embeddings [rank, rows]
  const NamedTensor* b = nullptr;          // [outputs, rank]; of embeddings [columns, rank]
  const NamedTensor* b_bias = nullptr;     // [outputs]
  const NamedTensor* magnitude = nullptr;  // DoRA: [outputs]; of embeddings [columns]
  const NamedTensor* tokens = nullptr;     // [ids, columns]: rows that are replaced
  const NamedTensor* weight = nullptr;     // replaces the base's
  const NamedTensor* bias = nullptr;       // replaces the base's
  bool embedding = false;                  // a and b are an embedding's
};

// A folder of peft: adapter_config.json and adapter_model.safetensors or adapter_model.bin.
struct Adapter {
  std::filesystem::path folder;
  AdapterConfig config;
  std::unique_ptr<TensorIndex> tensors;
  std::map<std::string, AdapterModule, std::less<>> modules;  // by name in the base model
};

// Whether the folder holds an adapter rather than a whole model.
bool is_adapter_folder(const std::filesystem::path& folder);

// Errors: those of read_adapter_config; kNotFound without weights; kArtifactInvalid naming the file
// and the tensor that is none of LoRA's, that lacks its other half, or whose shape contradicts it
// or the configuration. Tensors of modules that the configuration doesn't target are left out, as
// the reference does, and said in the log.
Adapter open_adapter(const std::filesystem::path& folder);

// The same for tensors that are open already.
Adapter make_adapter(AdapterConfig config, std::unique_ptr<TensorIndex> tensors);

}  // namespace tensormill
