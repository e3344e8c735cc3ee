#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/thread_team.h"
#include "engine/engine.h"
#include "models/model.h"
#include "tasks/generation_config.h"
#include "tasks/place.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {

struct LoadTextOptions {
  std::filesystem::path folder;        // a model's, or an adapter's (see ModelFolder)
  std::string variant;                 // of the weights; see choose_weight_files()
  std::optional<WeightFormat> format;  // none: as stored
  Quantization quantize = Quantization::kNone;
  std::optional<DType> cache_type;  // of keys and values; none: the weights'
  bool random_weights = false;      // needs config.json alone
  int threads = 0;                  // of process_team(), where this load is the first to ask
  std::string device = "auto";      // see open_place()
  std::string cpu_level = "auto";   // see cpu_kernels()
  EngineOptions engine;             // max_tokens 0: the model's positions, where memory allows
  // stage, done and total bytes; called often, from the loading thread
  std::function<void(const char* stage, int64_t done, int64_t total)> progress;
};

// All that serving text from one folder needs. Not to be moved: the engine points at the others.
struct LoadedText {
  Place place;
  std::unique_ptr<Model> model;
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<ChatTemplate> chat_template;  // null where the folder has none
  GenerationDefaults generation;
  std::unique_ptr<Engine> engine;  // declared last: it goes first
};

// The one thread team of the process, shared by all its models so that they don't oversubscribe the
// cores. The first call makes it: `threads`, 0 for usable_cores(). Later calls only return it.
ThreadTeam& process_team(int threads = 0);

// Model, tokenizer, chat template and a running engine. With random_weights and no tokenizer files
// a byte tokenizer serves; a chat template that can't be used is logged, and fails each rendering.
// Errors: those of open_place, Model::load, load_tokenizer and Engine.
std::unique_ptr<LoadedText> load_text(const LoadTextOptions& options);

// The two halves of load_text, for callers that need the tokenizer to size the engine.
std::unique_ptr<LoadedText> load_text_parts(const LoadTextOptions& options);
void start_engine(LoadedText& text, EngineOptions options);

}  // namespace tensormill
