#pragma once

#include <initializer_list>
#include <optional>

#include "models/config_reader.h"
#include "models/rope_config.h"
#include "nn/spec.h"

namespace tensormill {

// Bounds of what config.json may ask for: far above any model, far below what would overflow.
inline constexpr int64_t kMaxVocabulary = int64_t{1} << 23, kMaxWidth = int64_t{1} << 17,
                         kMaxInnerWidth = int64_t{1} << 19, kMaxLayers = 1024, kMaxHeads = 1024,
                         kMaxPositions = int64_t{1} << 30;

// A whole number that files spell in several ways. Errors name the first, or where they say
// different numbers, the second.
int32_t read_integer(ConfigReader& config, std::initializer_list<std::string_view> spellings,
                     int64_t low, int64_t high, std::optional<int32_t> fallback = {});

// "gelu_new" and so on; `usual`: what files without the key mean. Errors: kUnsupported listing what
// is known.
Activation read_activation(ConfigReader& config, std::string_view key, const char* usual);

// width / heads, where that is whole. Errors: kArtifactInvalid naming both keys.
int32_t even_head_dim(const ConfigReader& config, std::string_view width_key, int32_t width,
                      std::string_view heads_key, int32_t heads);

// Keys that every config.json may have and that change nothing in a decoder's results, and those
// that may only have one value here.
void read_common_keys(ConfigReader& config);

}  // namespace tensormill
