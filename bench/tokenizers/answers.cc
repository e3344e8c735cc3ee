// Answers what a tokenizer makes of texts and ids, one JSON object a line in and out; what
// tools/golden/tokenizer/differential.py compares with the reference.
//   {"load": FOLDER}  ->  {"ok": SIZE}
//   {"text": TEXT}    ->  {"ids", "offsets", "plain", and as below for "ids"}
//   {"ids": [...]}    ->  {"decoded", "skipped", "streamed", "streamed_skipped"}
// Errors: {"error": MESSAGE}
#include <iostream>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "tokenizer/decode_stream.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {
namespace {

std::string streamed(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip) {
  DecodeStream stream(tokenizer, skip);
  std::string text;
  for (const int32_t id : ids) {
    const std::string piece = stream.step(id);
    if (find_invalid_utf8(piece) != std::string::npos) return "a piece is no valid UTF-8";
    text += piece;
  }
  return text + stream.finish();
}

void add_texts(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, Json& answer) {
  answer["decoded"] = tokenizer.decode(ids, false);
  answer["skipped"] = tokenizer.decode(ids, true);
  answer["streamed"] = streamed(tokenizer, ids, false);
  answer["streamed_skipped"] = streamed(tokenizer, ids, true);
}

Json answer_of(const Json& request, std::unique_ptr<Tokenizer>& tokenizer) {
  Json answer;
  if (request.contains("load")) {
    tokenizer.reset();
    tokenizer = load_tokenizer(request["load"].get<std::string>());
    answer["ok"] = tokenizer->vocabulary_size();
  } else if (!tokenizer) {
    answer["error"] = "no tokenizer is loaded";
  } else if (request.contains("text")) {
    const auto text = request["text"].get<std::string>();
    const Encoding encoding = tokenizer->encode(text);
    answer["ids"] = encoding.ids;
    answer["offsets"] = encoding.offsets;
    answer["plain"] = tokenizer->encode(text, false).ids;
    add_texts(*tokenizer, encoding.ids, answer);
  } else {
    add_texts(*tokenizer, request["ids"].get<std::vector<int32_t>>(), answer);
  }
  return answer;
}

}  // namespace
}  // namespace tensormill

int main() {
  using tensormill::Json;
  std::ios::sync_with_stdio(false);
  std::unique_ptr<tensormill::Tokenizer> tokenizer;
  std::string line;
  while (std::getline(std::cin, line)) {
    Json answer;
    try {
      answer = tensormill::answer_of(Json::parse(line), tokenizer);
    } catch (const tensormill::Error& error) {
      answer = {{"error", error.what()}};
    }
    std::cout << answer.dump(-1, ' ', true) << '\n' << std::flush;
  }
  return 0;
}
