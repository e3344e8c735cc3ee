#include "tasks/load_model.h"

#include <spdlog/spdlog.h>
#include <spdlog/stopwatch.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "engine/memory_plan.h"
#include "models/describe.h"

namespace tensormill {
namespace {

std::unique_ptr<Tokenizer> tokenizer_of(const LoadTextOptions& options,
                                        const std::filesystem::path& folder) {
  try {
    return load_tokenizer(folder);
  } catch (const Error& error) {
    if (!options.random_weights || error.kind() != ErrorKind::kNotFound) throw;
    return nullptr;
  }
}

std::unique_ptr<ChatTemplate> template_of(const std::filesystem::path& folder) {
  try {
    return load_chat_template(folder);
  } catch (const Error& error) {
    spdlog::warn("{}; chat requests will be refused", error.what());
    return ChatTemplate::broken(error.what());
  }
}

const char* tokenizer_file(const std::filesystem::path& folder) {
  for (const char* name : {"tokenizer.json", "vocab.json"}) {
    if (std::filesystem::exists(folder / name)) return name;
  }
  return "tokenizer.model";
}

// What stands beside the weights. A large vocabulary takes as long to read as a small model's
// weights, so that it is read meanwhile.
struct TextParts {
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<ChatTemplate> chat_template;
};

// A token without a row in the model's tables could come with any prompt.
void check_vocabulary(const std::filesystem::path& folder, const ModelInfo& info,
                      const std::string& config, const Tokenizer& tokenizer) {
  if (tokenizer.vocabulary_size() <= info.vocabulary) return;
  throw_error(ErrorKind::kArtifactInvalid,
              "{}: a vocabulary of {}, expected more than the largest id of {}, which is {}",
              config, info.vocabulary, (folder / tokenizer_file(folder)).string(),
              tokenizer.vocabulary_size() - 1);
}

}  // namespace

ThreadTeam& process_team(int threads) {
  static std::once_flag once;
  static std::unique_ptr<ThreadTeam> team;
  std::call_once(once, [threads] {
    team = std::make_unique<ThreadTeam>(threads > 0 ? threads : usable_cores());
  });
  return *team;
}

std::unique_ptr<LoadedText> load_text_parts(const LoadTextOptions& options) {
  auto text = std::make_unique<LoadedText>();
  const spdlog::stopwatch opening;
  text->place = open_place(options.device, options.cpu_level, process_team(options.threads));
  spdlog::debug("{} opened in {:.2f} s", text->place.device->name(), opening);
  LoadOptions load;
  load.kernels = text->place.kernels;
  load.stream = text->place.stream;
  load.device = text->place.device;
  load.format = options.format;
  load.variant = options.variant;
  load.quantize = options.quantize;
  load.cache_type = options.cache_type;
  load.random_weights = options.random_weights;
  const Description description = describe_model(options.folder);
  const std::filesystem::path& folder = description.parts.tokenizer;
  const auto check = [&](const Tokenizer* tokenizer, const ModelInfo& info) {
    if (tokenizer != nullptr) check_vocabulary(folder, info, description.file, *tokenizer);
  };
  // An adapter may bring rows for tokens that its base hasn't.
  const bool known = !description.parts.adapter || options.random_weights;
  const bool own = std::filesystem::exists(options.folder / "generation_config.json");
  const auto read_defaults = [&](const ModelInfo& info) {
    text->generation =
        read_generation_defaults(own ? options.folder : description.parts.base, info.vocabulary);
  };
  if (known) read_defaults(description.info);
  std::future<TextParts> reading = std::async(std::launch::async, [&] {
    TextParts parts{tokenizer_of(options, folder), template_of(folder)};
    if (known) check(parts.tokenizer.get(), description.info);
    return parts;
  });
  TextParts parts;
  load.progress = [&](const char* stage, int64_t done, int64_t total) {
    // A file that can't be used is told before the weights are all loaded.
    const bool ready =
        reading.valid() && reading.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    if (ready) parts = reading.get();
    if (options.progress) options.progress(stage, done, total);
  };
  const spdlog::stopwatch loading;
  try {
    text->model = Model::load(options.folder, load);
  } catch (...) {
    if (reading.valid()) reading.get();  // of two errors always the same one
    throw;
  }
  spdlog::debug("weights of {:.2f} GB loaded in {:.2f} s",
                1e-9 * static_cast<double>(text->model->info().weight_bytes), loading);
  if (reading.valid()) parts = reading.get();
  if (!known) check(parts.tokenizer.get(), text->model->info());
  if (!known) read_defaults(text->model->info());
  text->tokenizer = std::move(parts.tokenizer);
  text->chat_template = std::move(parts.chat_template);
  if (!text->tokenizer) text->tokenizer = byte_tokenizer(text->model->info().vocabulary);
  return text;
}

void start_engine(LoadedText& text, EngineOptions options) {
  const ModelInfo& info = text.model->info();
  if (options.max_tokens == 0) {
    // A step holds whole sequences where nothing is cached: not as many tokens as there are
    // positions.
    constexpr int32_t kRecomputed = 4096;
    const int32_t most =
        info.rules.recomputes ? std::min(info.max_positions, kRecomputed) : info.max_positions;
    // plan_cache takes part of the memory that is left; half of it is surely within that part.
    const Device& device = text.model->device();
    const int64_t left = device.on_host() ? available_memory() : device.available();
    const int64_t room = left / 2 / std::max<int64_t>(1, info.cache_bytes_per_token);
    options.max_tokens =
        static_cast<int32_t>(std::clamp<int64_t>(room, 2, std::max<int32_t>(2, most)));
  }
  options.team = &process_team();
  const auto logits = text.model->kernels().logits;
  options.logits = logits != nullptr ? logits() : nullptr;
  const spdlog::stopwatch starting;
  text.engine = std::make_unique<Engine>(*text.model, *text.tokenizer, options);
  spdlog::debug("engine started in {:.2f} s", starting);
}

std::unique_ptr<LoadedText> load_text(const LoadTextOptions& options) {
  std::unique_ptr<LoadedText> text = load_text_parts(options);
  start_engine(*text, options.engine);
  return text;
}

}  // namespace tensormill
