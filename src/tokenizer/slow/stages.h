#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/slow/classes.h"

namespace tensormill {

// Stages as tokenizer.json writes them.
Json byte_level_json(bool add_prefix_space, bool use_regex = true, bool trim_offsets = true);
Json replace_json(std::string_view from, std::string_view to);
Json replace_regex_json(std::string_view pattern, std::string_view to);
Json split_json(std::string_view pattern, std::string_view behavior, bool invert = false);
Json sequence_json(std::string_view parts, Json list);  // parts: "normalizers", ...
Json metaspace_json(std::string_view scheme, bool split = true);
Json bert_normalizer_json(bool chinese, Json strip_accents, bool lowercase, bool clean = true);

// A template in the reference's short form: words, "$A", "$B", ":1" for a type.
using Words = std::vector<std::string>;
Json template_json(const Words& single, const Words& pair, const IdOf& id_of);
// {"cls": [text, id], "sep": ...} of RobertaProcessing and BertProcessing.
Json pair_processing_json(std::string_view type, const std::string& cls, const std::string& sep,
                          const IdOf& id_of);

}  // namespace tensormill
