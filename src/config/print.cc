#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "config/configuration.h"
#include "config/describe.h"
#include "config/rules.h"
#include "config/text.h"

namespace tensormill {
namespace {

struct Line {
  std::string key, value, source;
};

const char* note(const Setting* setting) {
  if (!setting) return " (unknown, ignored)";
  return setting->effect == SettingEffect::kNoEffect ? " (no effect)" : "";
}

// Every setting that acts, in the order of the table, and whatever else was given.
std::vector<Line> lines_of(const Settings& settings, bool with_defaults) {
  std::vector<Line> lines;
  const auto add = [&](std::string_view key, const Settings::Value& value, const Setting* setting) {
    lines.push_back({printable(key), shown_value(key, value.text), value.source + note(setting)});
  };
  const auto& given = settings.explicit_values();
  for (const Setting& setting : setting_table()) {
    if (setting.scope != settings.scope()) continue;
    const auto found = given.find(setting.key);
    if (found != given.end()) {
      add(setting.key, found->second, &setting);
    } else if (with_defaults && setting.effect == SettingEffect::kActs) {
      add(setting.key, settings.value(setting.key), &setting);
    }
  }
  for (const auto& [key, value] : given) {
    const Setting* setting = find_setting(settings.scope(), key);
    if (!setting || setting->key != key) add(key, value, setting);
  }
  return lines;
}

std::string table_of(const Settings& settings, bool with_defaults) {
  const std::vector<Line> lines = lines_of(settings, with_defaults);
  size_t keys = 0, values = 0;
  for (const Line& line : lines) {
    keys = std::max(keys, line.key.size());
    values = std::max(values, std::min<size_t>(line.value.size(), 40));
  }
  std::string text;
  for (const Line& line : lines) {
    text += fmt::format("  {:{}}  {:{}}  {}\n", line.key, keys,
                        line.value.empty() ? "-" : line.value, values, line.source);
  }
  return text;
}

std::string describe(const ServerConfig& config, bool with_defaults) {
  std::string text = "server\n" + table_of(config.settings, with_defaults);
  for (const ModelConfig& model : config.models) {
    text += fmt::format("\nmodel {}{}{}: {} mode, {}\n", model.name,
                        model.version.empty() ? "" : " version ", model.version,
                        model.mode() == ServingMode::kRolling ? "rolling" : "dynamic",
                        model.source.empty() ? model.model_folder.string() : model.source);
    text += table_of(model.settings, with_defaults);
  }
  if (config.models.empty()) text += "\nno models at the start\n";
  return text;
}

}  // namespace

std::string print_config(const ServerConfig& config) {
  return describe(config, true);
}

std::string startup_summary(const ServerConfig& config) {
  return describe(config, false);
}

std::string settings_markdown() {
  std::string text;
  const auto table = [&](SettingScope scope, std::string_view first) {
    text += fmt::format("| {} | default | allowed | effect | meaning |\n|---|---|---|---|---|\n",
                        first);
    for (const Setting& setting : setting_table()) {
      if (setting.scope != scope) continue;
      const char* effect = setting.effect == SettingEffect::kActs       ? "acts"
                           : setting.effect == SettingEffect::kNoEffect ? "none"
                                                                        : "refused";
      std::string allowed = describe_allowed(setting);
      for (size_t at = 0; (at = allowed.find('|', at)) != std::string::npos; at += 2) {
        allowed.replace(at, 1, ", ");
      }
      text +=
          fmt::format("| `{}` | {} | {} | {} | {} |\n", setting.key,
                      setting.default_value.empty() ? std::string("none")
                                                    : fmt::format("`{}`", setting.default_value),
                      allowed, effect, setting.help);
    }
  };
  text += "### The server's settings\n\n";
  table(SettingScope::kServer, "key or variable");
  text += "\n### A model's settings\n\n";
  table(SettingScope::kModel, "key");
  return text;
}

}  // namespace tensormill
