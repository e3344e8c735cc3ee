#include <fstream>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "tokenizer/loaders.h"
#include "tokenizer/models/bpe.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

Bpe::Merges read_merges(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw_error(ErrorKind::kNotFound, "{}: could not be read", file.string());
  Bpe::Merges merges;
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line.starts_with("#version")) continue;
    const size_t space = line.find(' ');
    if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos ||
        find_invalid_utf8(line) != std::string::npos) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: line {}: expected \"left right\" in UTF-8",
                  file.string(), number);
    }
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

int32_t require(const PipelineParts& parts, const std::string& text, const fs::path& file) {
  const auto id = parts.model->id_of(text);
  if (!id) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: special token \"{}\" is not in the vocabulary",
                file.string(), text);
  }
  return *id;
}

}  // namespace

PipelineParts load_vocab_and_merges(const fs::path& folder, const TokenizerConfig& config) {
  const fs::path vocab = folder / "vocab.json", merges = folder / "merges.txt";
  PipelineParts parts;
  {
    const Json json = read_json_file(vocab);
    parts.model = std::make_unique<Bpe>(Vocabulary(JsonNode(json, vocab.string())),
                                        read_merges(merges), BpeOptions{}, merges.string());
  }
  const bool prefix = config.add_prefix_space.value_or(false);
  const Json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", prefix},
                           {"trim_offsets", true},
                           {"use_regex", true}};
  const JsonNode stage(byte_level, folder.string());
  parts.pre_tokenizer = make_pre_tokenizer(stage);
  parts.decoder = make_decoder(stage);
  const bool sentence_pair_class =
      config.tokenizer_class == "RobertaTokenizer" || config.tokenizer_class == "BartTokenizer" ||
      (config.tokenizer_class.empty() && !config.special("cls_token").empty());
  if (sentence_pair_class) {
    const auto text = [&](const char* name, const char* otherwise) {
      const std::string given = config.special(name);
      return given.empty() ? std::string(otherwise) : given;
    };
    const std::string cls = text("cls_token", "<s>"), sep = text("sep_token", "</s>");
    const Json processor = {{"type", "RobertaProcessing"},
                            {"cls", {cls, require(parts, cls, vocab)}},
                            {"sep", {sep, require(parts, sep, vocab)}},
                            {"add_prefix_space", prefix},
                            {"trim_offsets", true}};
    parts.processor = make_processor(JsonNode(processor, folder.string()));
  } else if (config.add_bos.value_or(false)) {
    const std::string bos = config.special("bos_token");
    parts.processor =
        make_template({require(parts, bos.empty() ? "<|endoftext|>" : bos, vocab)}, {});
  }
  return parts;
}

}  // namespace tensormill
