#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/slow/convert.h"
#include "tokenizer/slow/languages.h"
#include "tokenizer/slow/sentencepiece_tree.h"
#include "tokenizer/slow/stages.h"
#include "tokenizer/slow/vocabulary_files.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

constexpr const char* kSpace = "\u2581";
using Pieces = ScoredPieces;

struct Source {
  const SlowFolder& folder;
  std::string file;
  SentencePieceModel model;
};

Source open_model(const SlowFolder& folder, std::string_view name) {
  const auto path = folder.file(name);
  return {folder, path.string(), read_sentencepiece(path)};
}

Pieces pieces_from(const Source& source, size_t first) {
  Pieces pieces;
  for (size_t i = first; i < source.model.pieces.size(); ++i) {
    pieces.emplace_back(source.model.pieces[i].text, source.model.pieces[i].score);
  }
  return pieces;
}

// Pieces behind those that the class puts first, then more; scores of those are 0.
Pieces around(const Source& source, const Words& first, size_t skipped, const Words& last = {}) {
  Pieces pieces;
  for (const std::string& text : first) pieces.emplace_back(text, 0.0);
  for (auto& piece : pieces_from(source, skipped)) pieces.push_back(std::move(piece));
  for (const std::string& text : last) pieces.emplace_back(text, 0.0);
  return pieces;
}

Words fairseq_first() {
  return {"<s>", "<pad>", "</s>", "<unk>"};
}

// "5," and the like are tokens of last resort to ALBERT and XLNet.
void lower_number_commas(Pieces& pieces) {
  for (auto& [text, score] : pieces) {
    const std::u32string characters = code_points_of(text);
    if (characters.size() >= 2 && characters.back() == U',' &&
        is_number(characters[characters.size() - 2])) {
      score -= 100;
    }
  }
}

std::optional<Json> precompiled(const Source& source) {
  if (source.model.charsmap.empty()) return std::nullopt;
  return Json{{"type", "Precompiled"},
              {"precompiled_charsmap", base64_encode(source.model.charsmap)}};
}

void set_metaspace(Conversion& result, std::string_view scheme) {
  result.tree["pre_tokenizer"] = metaspace_json(scheme);
  result.tree["decoder"] = metaspace_json(scheme);
}

// The stages that most SentencePiece classes share.
Conversion common(const Source& source, const Pieces& pieces, const SentencePieceOptions& options,
                  std::string_view scheme = "always") {
  Conversion result;
  set_sentencepiece_model(source.model, pieces, options, source.file, result.tree);
  Json normalizers = Json::array();
  if (auto map = precompiled(source)) normalizers.push_back(std::move(*map));
  normalizers.push_back({{"type", "Strip"}, {"strip_left", false}, {"strip_right", true}});
  normalizers.push_back(replace_regex_json(" {2,}", kSpace));
  result.tree["normalizer"] = sequence_json("normalizers", std::move(normalizers));
  set_metaspace(result, scheme);
  return result;
}

void set_template(Conversion& result, Words single, Words pair) {
  result.processor = [single = std::move(single), pair = std::move(pair)](const IdOf& id_of) {
    return template_json(single, pair, id_of);
  };
}

void set_cls_sep(Conversion& result) {
  set_template(result, {"[CLS]", "$A", "[SEP]"}, {"[CLS]", "$A", "[SEP]", "$B:1", "[SEP]:1"});
}

void set_roberta_like(Conversion& result) {
  set_template(result, {"<s>", "$A", "</s>"}, {"<s>", "$A", "</s>", "</s>", "$B", "</s>"});
}

struct AccentOptions {
  bool lower, keep_accents, spaces_first = false;
};

// Quotes, accents and case as ALBERT's scripts treated them.
void set_albert_normalizer(const Source& source, const AccentOptions& options, Conversion& result) {
  Json list = Json::array({replace_json("``", "\""), replace_json("''", "\"")});
  if (options.spaces_first) list.push_back(replace_regex_json(" {2,}", " "));
  if (!source.folder.flag("keep_accents", options.keep_accents)) {
    list.push_back({{"type", "NFKD"}});
    list.push_back({{"type", "StripAccents"}});
  }
  if (source.folder.flag("do_lower_case", options.lower)) list.push_back({{"type", "Lowercase"}});
  if (auto map = precompiled(source)) list.push_back(std::move(*map));
  if (!options.spaces_first) list.push_back(replace_regex_json(" {2,}", " "));
  result.tree["normalizer"] = sequence_json("normalizers", std::move(list));
}

std::string_view t5_scheme(const SlowFolder& folder) {
  if (!folder.config.add_prefix_space.value_or(true)) return "never";
  return folder.config.legacy.value_or(true) ? "always" : "first";
}

Json byte_decoders(bool strip_first) {
  Json list =
      Json::array({replace_json(kSpace, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}});
  if (strip_first) {
    list.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  return sequence_json("decoders", std::move(list));
}

}  // namespace

Conversion convert_albert(const SlowFolder& folder) {
  const Source source = open_model(folder, "spiece.model");
  Pieces pieces = pieces_from(source, 0);
  lower_number_commas(pieces);
  Conversion result = common(source, pieces, {.unk_id = source.model.unk_id});
  set_albert_normalizer(source, {.lower = true, .keep_accents = false}, result);
  set_cls_sep(result);
  return result;
}

Conversion convert_fnet(const SlowFolder& folder) {
  Conversion result = convert_albert(folder);
  set_albert_normalizer(open_model(folder, "spiece.model"), {.lower = false, .keep_accents = true},
                        result);
  return result;
}

Conversion convert_xlnet(const SlowFolder& folder) {
  Conversion result = convert_albert(folder);
  set_albert_normalizer(open_model(folder, "spiece.model"), {.lower = false, .keep_accents = false},
                        result);
  set_template(result, {"$A", "<sep>", "<cls>:2"}, {"$A", "<sep>", "$B:1", "<sep>:1", "<cls>:2"});
  return result;
}

Conversion convert_rembert(const SlowFolder& folder) {
  const Source source = open_model(folder, "sentencepiece.model");
  Conversion result = common(source, pieces_from(source, 0), {.unk_id = source.model.unk_id});
  set_albert_normalizer(source, {.lower = false, .keep_accents = true, .spaces_first = true},
                        result);
  set_cls_sep(result);
  return result;
}

Conversion convert_barthez(const SlowFolder& folder) {
  const Source source = open_model(folder, "sentencepiece.bpe.model");
  Conversion result = common(source, pieces_from(source, 0), {.unk_id = 3});
  set_roberta_like(result);
  return result;
}

Conversion convert_big_bird(const SlowFolder& folder) {
  const Source source = open_model(folder, "spiece.model");
  Conversion result = common(source, pieces_from(source, 0), {.unk_id = source.model.unk_id});
  set_cls_sep(result);
  return result;
}

Conversion convert_camembert(const SlowFolder& folder) {
  const Source source = open_model(folder, "sentencepiece.bpe.model");
  Pieces pieces = around(source, {"<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED"}, 1,
                         {"<mask>"});
  pieces[4].second = -100;
  Conversion result = common(source, pieces, {.unk_id = 3});
  set_roberta_like(result);
  return result;
}

Conversion convert_deberta_v2(const SlowFolder& folder) {
  const Source source = open_model(folder, "spm.model");
  Conversion result = common(source, pieces_from(source, 0), {.unk_id = source.model.unk_id});
  Json parts = Json::array();
  if (folder.flag("split_by_punct", false)) {
    parts.push_back({{"type", "Punctuation"}, {"behavior", "Isolated"}});
  }
  parts.push_back(metaspace_json("always"));
  result.tree["pre_tokenizer"] = sequence_json("pretokenizers", std::move(parts));
  Json list = Json::array();
  if (folder.flag("do_lower_case", false)) list.push_back({{"type", "Lowercase"}});
  list.push_back({{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}});
  if (auto map = precompiled(source)) list.push_back(std::move(*map));
  list.push_back(replace_regex_json(" {2,}", " "));
  result.tree["normalizer"] = sequence_json("normalizers", std::move(list));
  set_cls_sep(result);
  return result;
}

Conversion convert_mbart(const SlowFolder& folder) {
  const Source source = open_model(folder, "sentencepiece.bpe.model");
  Words last = language_codes(Languages::kMBart);
  last.emplace_back("<mask>");
  return common(source, around(source, fairseq_first(), 3, last), {.unk_id = 3});
}

Conversion convert_mbart50(const SlowFolder& folder) {
  const Source source = open_model(folder, "sentencepiece.bpe.model");
  Words last = language_codes(Languages::kMBart50);
  last.emplace_back("<mask>");
  return common(source, around(source, fairseq_first(), 3, last), {.unk_id = 3});
}

Conversion convert_nllb(const SlowFolder& folder) {
  const Source source = open_model(folder, "sentencepiece.bpe.model");
  return common(source, around(source, fairseq_first(), 3), {.unk_id = 3});
}

Conversion convert_xlm_roberta(const SlowFolder& folder) {
  const Source source = open_model(folder, "sentencepiece.bpe.model");
  Conversion result = common(source, around(source, fairseq_first(), 3, {"<mask>"}), {.unk_id = 3});
  set_roberta_like(result);
  return result;
}

Conversion convert_xglm(const SlowFolder& folder) {
  const Source source = open_model(folder, "sentencepiece.bpe.model");
  Words last;
  for (int i = 0; i < 7; ++i) last.push_back(fmt::format("<madeupword{}>", i));
  Conversion result = common(source, around(source, fairseq_first(), 3, last), {.unk_id = 3});
  set_template(result, {"</s>", "$A"}, {"</s>", "$A", "</s>", "</s>", "$B"});
  return result;
}

Conversion convert_pegasus(const SlowFolder& folder) {
  const Source source = open_model(folder, "spiece.model");
  const auto given = folder.config.node().find("offset");
  const auto offset = static_cast<int32_t>(given ? given->integer(0, 1 << 20) : 103);
  const bool named = folder.config.options.contains("mask_token_sent");
  const std::string sentence = folder.text("mask_token_sent", named ? "" : "<mask_1>");
  Words first = {folder.special("pad_token"), folder.special("eos_token")};
  if (!sentence.empty()) first.push_back(sentence);
  const std::string mask = folder.special("mask_token");
  if (!sentence.empty() && !mask.empty() && offset > 3) first.push_back(mask);
  const size_t masks = first.size();
  for (int32_t i = 2; i < offset; ++i) first.push_back(fmt::format("<unk_{}>", i));
  Pieces pieces = around(source, first, 2);
  for (size_t i = masks; i < first.size(); ++i) pieces[i].second = -100;
  Conversion result = common(source, pieces, {.unk_id = source.model.unk_id + offset});
  result.tree["pre_tokenizer"] = sequence_json(
      "pretokenizers", Json::array({{{"type", "WhitespaceSplit"}}, metaspace_json("always")}));
  const std::string eos = folder.special("eos_token");
  set_template(result, {"$A", eos}, {"$A", "$B", eos});
  return result;
}

Conversion convert_reformer(const SlowFolder& folder) {
  const Source source = open_model(folder, "spiece.model");
  return common(source, pieces_from(source, 0), {.unk_id = source.model.unk_id});
}

Conversion convert_seamless_m4t(const SlowFolder& folder) {
  const Source source = open_model(folder, "sentencepiece.bpe.model");
  const Pieces pieces = around(source, {"<pad>", "<unk>", "<s>", "</s>"}, 3);
  const std::string unknown = folder.special("unk_token");
  const auto unk = std::find_if(pieces.begin(), pieces.end(),
                                [&](const auto& item) { return item.first == unknown; });
  const auto unk_id = static_cast<int32_t>(unk == pieces.end() ? 1 : unk - pieces.begin());
  const bool prefix = folder.config.add_prefix_space.value_or(true);
  return common(source, pieces, {.unk_id = unk_id}, prefix ? "first" : "never");
}

Conversion convert_udop(const SlowFolder& folder) {
  const Source source = open_model(folder, "spiece.model");
  Conversion result =
      common(source, pieces_from(source, 0), {.unk_id = source.model.unk_id}, t5_scheme(folder));
  set_template(result, {"$A", "</s>"}, {"$A", "</s>", "$B", "</s>"});
  return result;
}

Conversion convert_t5(const SlowFolder& folder) {
  const Source source = open_model(folder, "spiece.model");
  const auto given = folder.config.node().find("extra_ids");
  Words last;
  for (int64_t i = (given ? given->integer(0, 1 << 20) : 100) - 1; i >= 0; --i) {
    last.push_back(fmt::format("<extra_id_{}>", i));
  }
  Conversion result = common(source, around(source, {}, 0, last), {.unk_id = source.model.unk_id},
                             t5_scheme(folder));
  set_template(result, {"$A", "</s>"}, {"$A", "</s>", "$B", "</s>"});
  return result;
}

Conversion convert_gemma(const SlowFolder& folder) {
  const Source source = open_model(folder, "tokenizer.model");
  Pieces pieces = around(
      source,
      {folder.special("pad_token"), folder.special("eos_token"), folder.special("bos_token")}, 3);
  const auto piece = [&](std::string_view text) {
    return std::find_if(pieces.begin(), pieces.end(),
                        [&](const auto& item) { return item.first == text; });
  };
  if (piece("\t") == pieces.end() && piece("<0x09>") != pieces.end()) *piece("<0x09>") = {"\t", 0};
  Conversion result;
  set_sentencepiece_model(source.model, pieces,
                          {.unk_id = 3, .byte_fallback = true, .tab_is_byte = true}, source.file,
                          result.tree);
  for (Json& token : result.tree["added_tokens"]) {
    if (token["content"] == "<start_of_turn>" || token["content"] == "<end_of_turn>") {
      token["special"] = true;
    }
  }
  result.tree["normalizer"] = replace_json(" ", kSpace);
  result.tree["pre_tokenizer"] = {{"type", "Split"},
                                  {"pattern", {{"String", " "}}},
                                  {"behavior", "MergedWithPrevious"},
                                  {"invert", false}};
  result.tree["decoder"] = byte_decoders(false);
  return result;
}

Conversion convert_llama(const SlowFolder& folder) {
  if (is_tiktoken_file(folder.file("tokenizer.model"))) return convert_tiktoken(folder);
  const Source source = open_model(folder, "tokenizer.model");
  Pieces pieces = pieces_from(source, 0);
  for (size_t id = 0; id < std::min<size_t>(3, pieces.size()); ++id) pieces[id].second = 0;
  for (const auto& [id, token] : folder.config.added) {
    if (id < 3 && static_cast<size_t>(id) < pieces.size()) {
      pieces[static_cast<size_t>(id)].first = token.content;
    }
  }
  Conversion result;
  set_sentencepiece_model(source.model, pieces, {.unk_id = 0, .byte_fallback = true}, source.file,
                          result.tree);
  const bool prefix = folder.config.add_prefix_space.value_or(true);
  result.tree["decoder"] = byte_decoders(prefix);
  if (folder.config.legacy.value_or(true)) {
    Json list = Json::array();
    if (prefix) list.push_back({{"type", "Prepend"}, {"prepend", kSpace}});
    list.push_back(replace_json(" ", kSpace));
    result.tree["normalizer"] = sequence_json("normalizers", std::move(list));
  } else {
    result.tree["pre_tokenizer"] = metaspace_json(prefix ? "first" : "never", false);
  }
  return result;
}

}  // namespace tensormill
