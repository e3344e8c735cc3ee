#include "models/rope_config.h"

#include <cmath>
#include <string>

#include "base/error.h"
#include "models/common_config.h"

namespace tensormill {
namespace {

constexpr double kMaxTheta = 1e12, kMaxFactor = 1e6;
constexpr std::string_view kOriginal = "original_max_position_embeddings";

// Lengths that the model's own keys name.
struct Lengths {
  int32_t max_positions;
  int32_t original;  // 0: not there
};

// Outside of the scaling it counts first, as transformers 5 reads it.
int32_t original_length(ConfigReader& scaling, const Lengths& lengths) {
  const int32_t inside = scaling.integer(kOriginal, 1, kMaxPositions, lengths.max_positions);
  return lengths.original > 0 ? lengths.original : inside;
}

void read_llama3(ConfigReader& scaling, RopeSpec& rope) {
  rope.scaling = RopeScaling::kLlama3;
  rope.factor = scaling.number("factor", 1, kMaxFactor);
  rope.low_frequency = scaling.number("low_freq_factor", 1e-6, kMaxFactor);
  rope.high_frequency = scaling.number("high_freq_factor", 1e-6, kMaxFactor);
  if (rope.high_frequency <= rope.low_frequency) {
    scaling.fail("high_freq_factor", "more than low_freq_factor");
  }
  rope.original_length = scaling.integer(kOriginal, 1, kMaxPositions);
}

// The scaling's own amplitude, or the one that its other keys mean.
float read_amplitude(ConfigReader& scaling, double usual) {
  return scaling.number("attention_factor", 1e-6, kMaxFactor, static_cast<float>(usual));
}

void read_yarn(ConfigReader& scaling, RopeSpec& rope, const Lengths& lengths) {
  rope.scaling = RopeScaling::kYarn;
  rope.factor = scaling.number("factor", 1, kMaxFactor);
  rope.original_length = original_length(scaling, lengths);
  rope.high_frequency = scaling.number("beta_fast", 1e-6, kMaxFactor, 32.0F);
  rope.low_frequency = scaling.number("beta_slow", 1e-6, kMaxFactor, 1.0F);
  if (rope.high_frequency < rope.low_frequency) {
    scaling.fail("beta_fast", "beta_slow or more");
  }
  if (rope.theta <= 1) scaling.fail("rope_theta", "more than 1: yarn divides by its logarithm");
  rope.whole = scaling.flag("truncate", true);
  // One of the two alone says nothing.
  const float mscale = scaling.number("mscale", 0, kMaxFactor, 0.0F);
  const float all = scaling.number("mscale_all_dim", 0, kMaxFactor, 0.0F);
  const float usual = mscale > 0 && all > 0
                          ? yarn_amplitude(rope.factor, mscale) / yarn_amplitude(rope.factor, all)
                          : yarn_amplitude(rope.factor, 1);
  rope.amplitude = read_amplitude(scaling, usual);
  scaling.without_effect({"finetuned", "attn_factor"});  // the reference reads neither
}

void read_long(ConfigReader& scaling, RopeSpec& rope, const Lengths& lengths) {
  rope.scaling = RopeScaling::kLong;
  const bool given = lengths.original > 0 || scaling.has(kOriginal);
  rope.original_length = original_length(scaling, lengths);
  const auto count = static_cast<size_t>(rope.dim / 2);
  rope.short_factors = scaling.numbers("short_factor", count, 1e-6, kMaxFactor);
  rope.long_factors = scaling.numbers("long_factor", count, 1e-6, kMaxFactor);
  // A length beside the scaling overrides its factor, one inside only stands in for it.
  double factor = static_cast<double>(lengths.max_positions) / rope.original_length;
  if (scaling.has("factor") && lengths.original == 0) {
    factor = scaling.number("factor", 1e-6, kMaxFactor);
  } else if (!given && !scaling.has("attention_factor")) {
    scaling.fail("factor", fmt::format("a number, or {}", kOriginal));
  }
  scaling.without_effect({"factor"});
  if (factor > 1 && rope.original_length == 1) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: {} is 1, expected 2 or more", scaling.file(),
                kOriginal);
  }
  const double usual =
      factor > 1
          ? std::sqrt(1 + std::log(factor) / std::log(static_cast<double>(rope.original_length)))
          : 1;
  rope.amplitude = read_amplitude(scaling, usual);
}

void read_scaling(ConfigReader& scaling, RopeSpec& rope, const Lengths& lengths) {
  // Older files say `type`; where both stand, transformers lets `type` win.
  const char* key = scaling.has("type") ? "type" : "rope_type";
  const std::string type = scaling.text(key);
  scaling.without_effect({"type", "rope_type"});
  if (type == "default") {
    scaling.without_effect({kOriginal});
  } else if (type == "linear") {
    rope.scaling = RopeScaling::kLinear;
    rope.factor = scaling.number("factor", 1, kMaxFactor);
    scaling.without_effect({kOriginal});
  } else if (type == "dynamic") {
    rope.scaling = RopeScaling::kDynamic;
    rope.factor = scaling.number("factor", 1, kMaxFactor);
    rope.original_length = lengths.max_positions;
    scaling.without_effect({kOriginal});  // the reference ignores it too
    if (rope.dim < 4) scaling.fail(key, "another type: dynamic scaling needs 4 or more dimensions");
  } else if (type == "yarn") {
    read_yarn(scaling, rope, lengths);
  } else if (type == "longrope" || type == "su") {
    read_long(scaling, rope, lengths);
  } else if (type == "llama3") {
    read_llama3(scaling, rope);
  } else {
    scaling.unsupported(key, "default, linear, dynamic, yarn, longrope (su), llama3");
  }
}

int32_t turning(int32_t head_dim, float share) {
  return static_cast<int32_t>(static_cast<float>(head_dim) * share);
}

}  // namespace

float yarn_amplitude(double factor, double mscale) {
  return factor <= 1 ? 1 : static_cast<float>(0.1 * mscale * std::log(factor) + 1);
}

RopeSpec read_rope(ConfigReader& config, std::string_view theta_key, int32_t head_dim, float share,
                   int32_t max_positions, std::string_view layer_type) {
  constexpr float kUsualTheta = 10000;
  RopeSpec rope;
  rope.theta = config.number(theta_key, 1, kMaxTheta, kUsualTheta);
  const Lengths lengths{max_positions, config.integer(kOriginal, 1, kMaxPositions, 0)};
  const char* key = config.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  config.without_effect({"rope_parameters", "rope_scaling"});
  if (!config.has(key)) {
    rope.dim = turning(head_dim, share);
  } else {
    ConfigReader scaling = config.object(key);
    if (!layer_type.empty() && scaling.has(layer_type)) scaling = scaling.object(layer_type);
    rope.theta = scaling.number("rope_theta", 1, kMaxTheta, rope.theta);
    rope.dim = turning(head_dim, scaling.number("partial_rotary_factor", 0, 1, share));
    read_scaling(scaling, rope, lengths);
  }
  if (rope.dim % 2 != 0) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: rotary positions turn {} of the {} values of a head (head_dim, "
                "partial_rotary_factor), expected an even number",
                config.file(), rope.dim, head_dim);
  }
  return rope;
}

}  // namespace tensormill
