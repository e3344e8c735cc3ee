#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <string>

#include "artifacts/model_folder.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mmap.h"
#include "cli/command.h"
#include "cli/load_model.h"
#include "models/weight_format.h"
#include "models/weights.h"
#include "tasks/perplexity.h"

namespace tensormill {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  CommonOptions common;
  std::string model, text;
  int32_t context = 0, chunk = 256;
  bool json = false;
};

constexpr const char* kAbout =
    "Perplexity of a text: exp of the mean of -ln p(token | the tokens of its window before it). "
    "The text is tokenized as a whole and cut into windows of --context tokens that don't overlap; "
    "the last may be shorter. Where the tokenizer puts tokens before a text (BOS), each window "
    "begins with them: they count towards --context, are not scored, and every token of the text "
    "is. Elsewhere the first token of each window is not scored.";

int32_t context_of(const Options& options, const ModelInfo& info) {
  constexpr int32_t kUsual = 1024;
  return options.context > 0 ? options.context : std::min(kUsual, info.max_positions);
}

// A line that moves on a terminal, a line every few seconds elsewhere.
class ProgressLine {
 public:
  explicit ProgressLine(size_t windows) : windows_(windows) {}

  void show(size_t done, const Loss& loss) {
    const Clock::time_point now = Clock::now();
    if (!terminal_ && done < windows_ && now - shown_ < std::chrono::seconds(5)) return;
    shown_ = now;
    fmt::print(stderr, "{}window {} of {}, perplexity {:.4f}{}", terminal_ ? "\r" : "", done,
               windows_, std::exp(loss.mean()), terminal_ && done < windows_ ? "" : "\n");
  }

 private:
  size_t windows_;
  bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  Clock::time_point shown_ = Clock::now();
};

std::string read_text(const std::string& path) {
  const auto file = MappedFile::open(path);
  return {reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()};
}

int run(const Options& options) {
  const std::string folder = find_model_folder(options.model, options.common).string();
  const std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(find_model_parts(folder).tokenizer);
  const std::string file = read_text(options.text);
  const LoadedModel loaded = load_model(folder, options.common, false);
  const ModelInfo& info = loaded.model->info();
  const int32_t context = context_of(options, info);
  const TextWindows text = cut_windows(*tokenizer, file, context);
  int64_t computed = 0;
  for (const auto& window : text.windows) computed += static_cast<int64_t>(window.size());
  ProgressLine line(text.windows.size());
  const Clock::time_point begin = Clock::now();
  const Loss loss = text_loss(*loaded.model, text, options.chunk, *loaded.team,
                              [&](size_t done, const Loss& now) { line.show(done, now); });
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const double rate = static_cast<double>(computed) / seconds;
  if (options.json) {
    const OrderedJson result = {
        {"model", options.model},
        {"text", options.text},
        {"dtype", dtype_name(plain_type(info.format))},
        {"kv_cache_dtype", cache_type_name(info.cache_type)},
        {"device", loaded.place.device->name()},
        {"kernels", loaded.place.kernels->name},
        {"threads", loaded.team->size()},
        {"context", context},
        {"windows", text.windows.size()},
        {"text_tokens", text.text_tokens},
        {"scored_tokens", loss.scored},
        {"loss", loss.mean()},
        {"perplexity", std::exp(loss.mean())},
        {"seconds", seconds},
        {"tokens_per_second", rate},
    };
    fmt::print("{}\n", result.dump(2));
    return 0;
  }
  fmt::print("{}, {}: {} windows of {} tokens, {} of {} tokens of text scored\n", options.model,
             dtype_name(plain_type(info.format)), text.windows.size(), context, loss.scored,
             text.text_tokens);
  fmt::print("loss {:.6f} (natural log), perplexity {:.4f}; {:.1f} tokens/s\n", loss.mean(),
             std::exp(loss.mean()), rate);
  return 0;
}

}  // namespace

CommandRunner declare_eval(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.footer(kAbout);
  app.add_option("MODEL", options->model,
                 "a folder, an archive, org/name of the hub or s3://bucket/prefix")
      ->required();
  app.add_option("--text", options->text, "a file of UTF-8 text")->required()->type_name("FILE");
  app.add_option("--context", options->context,
                 "tokens of a window (default: 1024, or the model's positions if less)")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--chunk", options->chunk,
                 "tokens of one step, whose logits are kept: less memory, the same result")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_flag("--json", options->json, "print one JSON object");
  options->common.declare(app);
  return [options] { return run(*options); };
}

}  // namespace tensormill
