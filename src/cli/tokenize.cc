#include <fmt/core.h>

#include <fstream>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "cli/command.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {
namespace {

struct Options {
  CommonOptions common;
  std::string model, file, strategy = "longest_first", side = "right";
  std::optional<std::string> text, pair;
  std::vector<int32_t> ids;
  std::optional<int64_t> max_length;
  int64_t stride = 0;
  bool json = false, json_lines = false, plain = false, truncate = false;
};

OrderedJson json_of(const Encoding& encoding) {
  OrderedJson line = {{"ids", encoding.ids},
                      {"tokens", encoding.tokens},
                      {"offsets", encoding.offsets},
                      {"type_ids", encoding.type_ids},
                      {"word_ids", OrderedJson::array()},
                      {"special_tokens_mask", encoding.special}};
  for (const int32_t word : encoding.words) {
    line["word_ids"].push_back(word < 0 ? OrderedJson() : OrderedJson(word));
  }
  if (!encoding.overflowing.empty()) {
    for (const Encoding& piece : encoding.overflowing) {
      line["overflowing"].push_back(json_of(piece));
    }
  }
  return line;
}

// The text in one line: controls, quotes and bytes that are no UTF-8 are escaped.
std::string quoted(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

void print_table(const Encoding& encoding) {
  fmt::print("{:>8}  {:>5}  {:>4}  {:>11}  {}\n", "id", "type", "word", "offsets", "token");
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    const std::string word = encoding.words[i] < 0 ? "-" : fmt::to_string(encoding.words[i]);
    const auto [begin, end] = encoding.offsets[i];
    fmt::print("{:>8}  {:>5}  {:>4}  {:>11}  {}\n", encoding.ids[i], encoding.type_ids[i], word,
               fmt::format("{}-{}", begin, end), quoted(encoding.tokens[i]));
  }
  for (const Encoding& piece : encoding.overflowing) {
    fmt::print("overflowing:\n");
    print_table(piece);
  }
}

std::optional<Truncation> truncation_of(const Options& options, const Tokenizer& tokenizer) {
  if (!options.max_length) {
    return options.truncate ? tokenizer.truncation() : std::nullopt;
  }
  Truncation result;
  result.max_length = *options.max_length;
  result.stride = options.stride;
  result.from_left = options.side == "left";
  if (options.strategy == "only_first") result.strategy = TruncationStrategy::kOnlyFirst;
  if (options.strategy == "only_second") result.strategy = TruncationStrategy::kOnlySecond;
  return result;
}

// Encodes and prints texts as the options say.
class Printer {
 public:
  Printer(const Options& options, const Tokenizer& tokenizer)
      : options_(options), tokenizer_(tokenizer), truncation_(truncation_of(options, tokenizer)) {}

  void print(std::string_view text, std::optional<std::string_view> pair) const {
    const Encoding encoding = tokenizer_.encode({.text = text,
                                                 .pair = pair,
                                                 .add_special = !options_.plain,
                                                 .details = true,
                                                 .truncation = truncation_});
    if (options_.json) {
      const OrderedJson line = json_of(encoding);
      fmt::print("{}\n", line.dump(-1, ' ', false, OrderedJson::error_handler_t::replace));
    } else {
      print_table(encoding);
    }
  }

  void print_lines(std::istream& stream, const std::string& name) const {
    int number = 0;
    for (std::string line; std::getline(stream, line);) {
      ++number;
      if (!options_.json_lines) {
        print(line, options_.pair);
      } else if (!line.empty()) {
        print_json_line(line, fmt::format("{}: line {}", name, number));
      }
    }
  }

 private:
  // "text" or ["text", "pair"]
  void print_json_line(const std::string& line, const std::string& where) const {
    const Json json = Json::parse(line, nullptr, false);
    const bool two =
        json.is_array() && json.size() == 2 && json[0].is_string() && json[1].is_string();
    if (!json.is_string() && !two) {
      throw_error(ErrorKind::kBadRequest, "{}: expected a JSON string or an array of two", where);
    }
    if (json.is_string()) return print(json.get<std::string>(), options_.pair);
    const auto first = json[0].get<std::string>(), second = json[1].get<std::string>();
    print(first, second);
  }

  const Options& options_;
  const Tokenizer& tokenizer_;
  std::optional<Truncation> truncation_;
};

int run(const Options& options) {
  const std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(options.model);
  if (!options.ids.empty()) {
    const std::string text = tokenizer->decode(options.ids, false);
    fmt::print("{}\n", options.json ? Json{{"text", text}}.dump() : text);
    return 0;
  }
  const Printer printer(options, *tokenizer);
  if (options.text) {
    printer.print(*options.text, options.pair);
  } else if (options.file.empty() || options.file == "-") {
    printer.print_lines(std::cin, "standard input");
  } else {
    std::ifstream stream(options.file, std::ios::binary);
    if (!stream) throw_error(ErrorKind::kNotFound, "{}: could not be read", options.file);
    printer.print_lines(stream, options.file);
  }
  return 0;
}

}  // namespace

CommandRunner declare_tokenize(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("model", options->model, "folder with the tokenizer's files")
      ->required()
      ->type_name("MODEL");
  CLI::Option_group* input =
      app.add_option_group("input", "one of these; lines of standard input without any");
  input->add_option("--text", options->text, "text to tokenize");
  input->add_option("--file", options->file, "file of texts, one a line; - is standard input")
      ->type_name("FILE");
  input->add_option("--ids", options->ids, "token ids to turn into text, as in 1,2,3")
      ->delimiter(',');
  input->require_option(0, 1);
  app.add_option("--pair", options->pair, "second text, which makes a pair of each");
  app.add_flag("--json-lines", options->json_lines,
               "lines are JSON: a string, or an array of a text and its pair");
  app.add_flag("--no-special", options->plain, "without the tokens that the model adds");
  app.add_option("--max-length", options->max_length, "cut texts of more tokens than that")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--stride", options->stride, "tokens that the pieces of a cut text share")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--strategy", options->strategy, "which text of a pair is cut")
      ->check(CLI::IsMember({"longest_first", "only_first", "only_second"}));
  app.add_option("--side", options->side, "where texts are cut")
      ->check(CLI::IsMember({"left", "right"}));
  app.add_flag("--truncate", options->truncate, "cut texts as tokenizer.json says");
  app.add_flag("--json", options->json, "a JSON object for each text");
  options->common.declare(app);
  return [options] { return run(*options); };
}

}  // namespace tensormill
