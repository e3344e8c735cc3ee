// Answers what a tokenizer makes of texts and ids, one JSON object a line in and out; what
// tools/golden/tokenizer/differential.py compares with the reference.
//   {"load": FOLDER}  ->  {"ok": SIZE}
//   {"text": TEXT}    ->  {"ids", "offsets", "plain", and as below for "ids"}
//   {"encode": TEXT, "pair", "special", "truncate": true for the file's}  ->  all of an Encoding
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

Json all_of(const Encoding& encoding) {
  Json overflowing = Json::array();
  for (const Encoding& piece : encoding.overflowing) overflowing.push_back(all_of(piece));
  return {{"ids", encoding.ids},         {"type_ids", encoding.type_ids},
          {"tokens", encoding.tokens},   {"offsets", encoding.offsets},
          {"words", encoding.words},     {"sequences", encoding.sequences},
          {"special", encoding.special}, {"overflowing", std::move(overflowing)}};
}

Json encode(const Json& json, const Tokenizer& tokenizer) {
  const auto text = json["encode"].get<std::string>(), pair = json.value("pair", "");
  EncodeRequest request{.text = text, .add_special = json.value("special", true)};
  if (json.contains("pair")) request.pair = pair;
  if (json.value("truncate", false)) request.truncation = tokenizer.truncation();
  const Encoding plain = tokenizer.encode(request);
  request.details = true;
  const Encoding encoding = tokenizer.encode(request);
  if (plain.ids != encoding.ids || plain.type_ids != encoding.type_ids) {
    return {{"error", "details change the ids"}};
  }
  return all_of(encoding);
}

Json answer_of(const Json& request, std::unique_ptr<Tokenizer>& tokenizer) {
  Json answer;
  if (request.contains("load")) {
    tokenizer.reset();
    tokenizer = load_tokenizer(request["load"].get<std::string>());
    answer["ok"] = tokenizer->vocabulary_size();
  } else if (!tokenizer) {
    answer["error"] = "no tokenizer is loaded";
  } else if (request.contains("encode")) {
    answer = encode(request, *tokenizer);
  } else if (request.contains("text")) {
    const auto text = request["text"].get<std::string>();
    const Encoding encoding = tokenizer->encode({.text = text, .details = true});
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
