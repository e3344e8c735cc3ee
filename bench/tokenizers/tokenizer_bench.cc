// Times a tokenizer in process, on one thread.
//   tokenizer_bench FOLDER encode FILE MEGABYTES ROUNDS   ids of each line
//   tokenizer_bench FOLDER details FILE MEGABYTES ROUNDS  and tokens, offsets, words, masks
//   tokenizer_bench FOLDER stream FILE MEGABYTES ROUNDS   the lines' ids, one by one
//   tokenizer_bench FOLDER load ROUNDS
// One JSON object: {"seconds": of the fastest round, "bytes", "tokens", "hash": of all ids or
// texts}.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/decode_stream.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {
namespace {

using Clock = std::chrono::steady_clock;

std::vector<std::string> read_lines(const std::string& file, double megabytes) {
  std::ifstream stream(file, std::ios::binary);
  std::vector<std::string> lines;
  std::string line;
  size_t bytes = 0;
  while (static_cast<double>(bytes) < megabytes * 1e6 && std::getline(stream, line)) {
    bytes += line.size();
    lines.push_back(line);
  }
  if (lines.empty()) throw_error(ErrorKind::kNotFound, "{}: no lines", file);
  return lines;
}

struct Result {
  double seconds = std::numeric_limits<double>::infinity();
  size_t bytes = 0, tokens = 0;
  uint32_t hash = 0;

  void add(const void* data, size_t size) {  // FNV-1a
    for (size_t i = 0; i < size; ++i) {
      hash = (hash ^ static_cast<const unsigned char*>(data)[i]) * 0x01000193u;
    }
  }
};

template <class Round>
void time_rounds(int rounds, Result& result, const Round& round) {
  for (int i = 0; i < rounds; ++i) {
    const auto start = Clock::now();
    round();
    const std::chrono::duration<double> seconds = Clock::now() - start;
    result.seconds = std::min(result.seconds, seconds.count());
  }
}

Result time_encode(const Tokenizer& tokenizer, const std::vector<std::string>& lines, bool details,
                   int rounds) {
  Result result;
  time_rounds(rounds, result, [&] {
    for (const std::string& line : lines) tokenizer.encode({.text = line, .details = details});
  });
  for (const std::string& line : lines) {
    const Encoding encoding = tokenizer.encode(line, true);
    result.bytes += line.size();
    result.tokens += encoding.ids.size();
    result.add(encoding.ids.data(), encoding.ids.size() * sizeof(int32_t));
  }
  return result;
}

Result time_stream(const Tokenizer& tokenizer, const std::vector<std::string>& lines, int rounds) {
  Result result;
  std::vector<std::vector<int32_t>> ids;
  for (const std::string& line : lines) {
    ids.push_back(tokenizer.encode(line, true).ids);
    result.tokens += ids.back().size();
    const std::string text = tokenizer.decode(ids.back(), false);
    result.bytes += text.size();
    result.add(text.data(), text.size());
  }
  time_rounds(rounds, result, [&] {
    size_t bytes = 0;
    for (const auto& line : ids) {
      DecodeStream stream(tokenizer, false);
      for (const int32_t id : line) bytes += stream.step(id).size();
      bytes += stream.finish().size();
    }
    if (bytes != result.bytes) throw_error(ErrorKind::kInternal, "streamed text is not decode()'s");
  });
  return result;
}

int run(const std::vector<std::string>& args) {
  if (args.size() < 3) {
    std::cerr << "tokenizer_bench FOLDER encode|details|stream FILE MEGABYTES ROUNDS, or FOLDER "
                 "load ROUNDS\n";
    return 2;
  }
  Result result;
  if (args[1] == "load") {
    time_rounds(std::stoi(args[2]), result, [&] { load_tokenizer(args[0]); });
  } else if (args.size() == 5) {
    const auto tokenizer = load_tokenizer(args[0]);
    const auto lines = read_lines(args[2], std::stod(args[3]));
    const int rounds = std::stoi(args[4]);
    result = args[1] == "stream" ? time_stream(*tokenizer, lines, rounds)
                                 : time_encode(*tokenizer, lines, args[1] == "details", rounds);
  }
  std::printf("{\"seconds\": %.6f, \"bytes\": %zu, \"tokens\": %zu, \"hash\": %u}\n",
              result.seconds, result.bytes, result.tokens, result.hash);
  return 0;
}

}  // namespace
}  // namespace tensormill

int main(int argc, char** argv) {
  try {
    return tensormill::run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const tensormill::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
