#include "tasks/text_generation.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/error.h"

namespace tensormill {

SubmittedText submit_text(Engine& engine, const Tokenizer& tokenizer, TextRequest request) {
  if (request.truncate < 0) {
    throw_error(ErrorKind::kBadRequest, "truncate: {} is not allowed, expected 0 (off) or more",
                request.truncate);
  }
  std::vector<int32_t> prompt = tokenizer.encode(request.prompt, request.add_special).ids;
  const auto keep = static_cast<size_t>(request.truncate);
  if (keep > 0 && prompt.size() > keep) {
    prompt.erase(prompt.begin(), prompt.end() - static_cast<ptrdiff_t>(keep));
  }
  GenerationRequest& generation = request.generation;
  SubmittedText submitted;
  submitted.prompt_tokens = static_cast<int32_t>(prompt.size());
  if (!request.max_new_tokens && request.max_length) {
    request.max_new_tokens = std::max(1, *request.max_length - submitted.prompt_tokens);
  }
  // The engine cuts it to what max_tokens leaves.
  generation.max_new_tokens = request.max_new_tokens.value_or(std::numeric_limits<int32_t>::max());
  generation.min_new_tokens =
      std::max(generation.min_new_tokens, request.min_length - submitted.prompt_tokens);
  const int64_t left = int64_t{engine.options().max_tokens} - submitted.prompt_tokens;
  submitted.max_new_tokens =
      static_cast<int32_t>(std::min<int64_t>(generation.max_new_tokens, left));
  generation.prompt = std::move(prompt);
  submitted.id = engine.submit(std::move(generation));
  return submitted;
}

}  // namespace tensormill
