#include <fmt/core.h>

#include <fstream>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/load_model.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {
namespace {

struct Options {
  CommonOptions common;
  std::string model, text, file;
  std::vector<int32_t> ids;
  bool json = false;
};

void print_encoding(const Tokenizer& tokenizer, std::string_view text, bool json) {
  const Encoding encoding = tokenizer.encode(text);
  if (!json) {
    fmt::print("{}\n", fmt::join(encoding.ids, " "));
    return;
  }
  Json tokens = Json::array();
  for (const int32_t id : encoding.ids) tokens.push_back(tokenizer.token(id));
  const OrderedJson line = {
      {"ids", encoding.ids}, {"tokens", std::move(tokens)}, {"offsets", encoding.offsets}};
  fmt::print("{}\n", line.dump(-1, ' ', false, OrderedJson::error_handler_t::replace));
}

int run(const Options& options) {
  const std::unique_ptr<Tokenizer> tokenizer =
      load_tokenizer(find_model_folder(options.model, options.common, ModelParts::kWithoutWeights));
  if (!options.ids.empty()) {
    const std::string text = tokenizer->decode(options.ids, false);
    fmt::print("{}\n", options.json ? Json{{"text", text}}.dump() : text);
  } else if (!options.file.empty()) {
    std::ifstream stream(options.file, std::ios::binary);
    if (!stream) throw_error(ErrorKind::kNotFound, "{}: could not be read", options.file);
    for (std::string line; std::getline(stream, line);) {
      print_encoding(*tokenizer, line, options.json);
    }
  } else {
    print_encoding(*tokenizer, options.text, options.json);
  }
  return 0;
}

}  // namespace

CommandRunner declare_tokenize(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("model", options->model,
                 "a folder, an archive, org/name of the hub or s3://bucket/prefix")
      ->required()
      ->type_name("MODEL");
  CLI::Option_group* input = app.add_option_group("input", "one of these");
  input->add_option("--text", options->text, "text to tokenize");
  input->add_option("--file", options->file, "file of texts, one a line")->type_name("FILE");
  input->add_option("--ids", options->ids, "token ids to turn into text, as in 1,2,3")
      ->delimiter(',');
  input->require_option(1);
  app.add_flag("--json", options->json, "a JSON object for each text");
  options->common.declare(app);
  return [options] { return run(*options); };
}

}  // namespace tensormill
