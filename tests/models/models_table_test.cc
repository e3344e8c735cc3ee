// docs/models.md says of every family what it covers and how exact it is. `--update` writes its
// table anew.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "../device.h"
#include "base/error.h"
#include "models/describe.h"
#include "models/properties.h"
#include "parity.h"

namespace tensormill {
namespace {

constexpr const char *kBegin = "<!-- table -->\n", *kEnd = "<!-- end of table -->";
constexpr const char *kBeginProperties = "<!-- properties -->\n",
                     *kEndProperties = "<!-- end of properties -->";
constexpr const char* kHead =
    "| `model_type` | checkpoints | not supported | fixtures | f32 error | bf16 error | f16 error "
    "| greedy tokens f32, bf16, f16 | reference |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
constexpr size_t kFirstError = 4, kCells = 9;
constexpr WeightFormat kFormats[] = {WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kF16};

bool update_wanted = false;

std::filesystem::path page() {
  return std::filesystem::path(TENSORMILL_GOLDEN).parent_path().parent_path() / "docs/models.md";
}

std::string read_page() {
  std::ifstream in(page());
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

struct Measured {
  double error = 0;
  int compared = 0;  // greedy tokens, and all of them equal
};

void measure(const Variant& variant, WeightFormat format, Measured& of_family) {
  const auto model = variant.load(load_options(format));
  const Differences difference = compare(variant, *model);
  of_family.error = std::max({of_family.error, difference.logits, difference.hidden});
  const std::vector<int32_t> best = best_tokens(variant, *model);
  for (size_t step = 0; step < best.size(); ++step) {
    if (!must_agree(variant, step, format)) continue;
    EXPECT_EQ(best[step], variant.greedy[step]) << variant.family << " " << variant.name;
    ++of_family.compared;
  }
}

struct Row {
  std::vector<std::string> cells;  // kCells
  std::vector<double> errors;      // of kFormats
};

Row make_row(const std::string& family) {
  const auto folder = std::filesystem::path(TENSORMILL_GOLDEN) / "models" / family;
  const Json about = read_json_file(folder / "about.json");
  std::string fixtures;
  Measured measured[3];
  for (const Variant& variant : variants_of(family)) {
    fixtures += (fixtures.empty() ? "" : ", ") + variant.name;
    for (size_t f = 0; f < 3; ++f) measure(variant, kFormats[f], measured[f]);
  }
  Row row{{"`" + family + "`", about.at("checkpoints"), about.at("not_supported"), fixtures}, {}};
  for (const Measured& of_format : measured) {
    row.errors.push_back(of_format.error);
    row.cells.push_back(fmt::format("{:.1e}", of_format.error));
  }
  row.cells.push_back(
      fmt::format("{}, {}, {}", measured[0].compared, measured[1].compared, measured[2].compared));
  row.cells.push_back(about.at("reference"));
  for (const std::string& cell : row.cells) EXPECT_EQ(cell.find('|'), cell.npos) << family;
  return row;
}

std::string row_text(const Row& row) {
  std::string text = "|";
  for (const std::string& cell : row.cells) text += (cell.empty() ? "" : " ") + cell + " |";
  return text + "\n";
}

std::vector<std::string> split_row(const std::string& line) {
  std::vector<std::string> cells;
  std::stringstream in(line.substr(1));
  for (std::string cell; std::getline(in, cell, '|');) {
    const size_t first = cell.find_first_not_of(' ');
    const size_t last = cell.find_last_not_of(' ');
    cells.push_back(first == cell.npos ? "" : cell.substr(first, last - first + 1));
  }
  return cells;
}

// The table's rows by their first cell.
std::map<std::string, std::vector<std::string>> documented_rows(const std::string& table) {
  std::map<std::string, std::vector<std::string>> rows;
  std::stringstream in(table);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("| `")) continue;
    const std::vector<std::string> cells = split_row(line);
    rows[cells.at(0)] = cells;
  }
  rows.erase("`model_type`");
  return rows;
}

// Errors may differ a little: instruction sets add in another order.
void expect_row(const std::vector<std::string>& documented, const Row& row) {
  ASSERT_EQ(documented.size(), kCells);
  for (size_t c = 0; c < kCells; ++c) {
    const size_t format = c - kFirstError;
    if (format < row.errors.size()) {
      EXPECT_LE(row.errors[format], 1.5 * std::stod(documented[c]) + 1e-6) << "column " << c;
    } else {
      EXPECT_EQ(documented[c], row.cells[c]);
    }
  }
}

// Which families' fixtures ask for a property, one row for each.
std::string property_table() {
  std::vector<std::string> order;
  std::map<std::string, std::string> users;
  for (const std::string& family : supported_model_types()) {
    std::set<std::string> noted;
    for (const Variant& variant : variants_of(family)) {
      const TemporaryFolder folder;
      variant.make_folder(folder, [](Json&) {});
      for (const std::string& name : properties(describe_model(folder.path()).model.spec)) {
        if (!noted.insert(name).second) continue;
        if (!users.contains(name)) order.push_back(name);
        std::string& list = users[name];
        list += (list.empty() ? "`" : ", `") + family + "`";
      }
    }
  }
  std::sort(order.begin(), order.end());
  std::string table = kBeginProperties + std::string("| property | families |\n| --- | --- |\n");
  for (const std::string& name : order) table += "| " + name + " | " + users[name] + " |\n";
  return table;
}

TEST(ModelsTable, SaysWhoUsesWhichProperty) {
  const std::string text = read_page(), table = property_table();
  const size_t begin = text.find(kBeginProperties), end = text.find(kEndProperties);
  ASSERT_TRUE(begin != text.npos && end != text.npos && begin < end);
  if (update_wanted) {
    std::ofstream(page()) << text.substr(0, begin) << table << text.substr(end);
  } else {
    EXPECT_EQ(text.substr(begin, end - begin), table) << "models_tests --update writes it";
  }
}

TEST(ModelsTable, SaysWhatIsMeasured) {
  if (on_gpu()) GTEST_SKIP() << "the table gives a CPU's errors";
  const std::string text = read_page();
  const size_t begin = text.find(kBegin), end = text.find(kEnd);
  ASSERT_TRUE(begin != text.npos && end != text.npos && begin < end);
  auto documented = documented_rows(text.substr(begin, end - begin));
  std::string table = kBegin + std::string(kHead);
  for (const std::string& family : supported_model_types()) {
    SCOPED_TRACE(family);
    try {
      const Row row = make_row(family);
      EXPECT_FALSE(row.cells[3].empty()) << "no fixtures";
      table += row_text(row);
      if (!update_wanted) expect_row(documented[row.cells[0]], row);
      documented.erase(row.cells[0]);
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
  }
  if (update_wanted) {
    std::ofstream(page()) << text.substr(0, begin) << table << text.substr(end);
  } else {
    EXPECT_TRUE(documented.empty()) << documented.begin()->first << " is no family";
  }
}

}  // namespace
}  // namespace tensormill

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  tensormill::update_wanted = argc > 1 && std::string(argv[1]) == "--update";
  if (tensormill::update_wanted) testing::GTEST_FLAG(filter) = "ModelsTable.*";
  return RUN_ALL_TESTS();
}
