#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "artifacts/digest.h"
#include "artifacts/transfer.h"
#include "artifacts/web_client.h"

namespace tensormill {

// One file to fetch.
struct Download {
  std::string name;  // for messages
  WebRequest request;
  std::function<void(WebRequest&)> sign;  // may be empty; completes the request before each try
  std::filesystem::path base;             // of the partial file's names, see PartialFile
  std::filesystem::path target;
  int64_t size = -1;  // -1: unknown
  std::string tag;    // of the content: a partial file of another one is dropped
  Digest digest = Digest::kNone;
  std::string expected;  // digest in lower-case hexadecimal
  // True for a reply whose content the digest doesn't belong to; may be empty.
  std::function<bool(const WebReply&)> no_digest;
  // Throws the error that a refusing reply stands for.
  std::function<void(const WebReply&)> refuse;
};

// Fetches all files, several at a time and large ones in ranges over several connections, and moves
// each to its place when it is whole and its checksum is right. Takes up what an earlier run left;
// what an error or a signal interrupts is kept for the next. Cut connections and servers in trouble
// are tried again; a file with a wrong checksum is fetched once more. `label` begins the progress
// lines.
// Errors: kOutOfMemory for too little room on the disk; kArtifactInvalid for a checksum that is
// wrong twice; TransportError; those of `refuse`; throw_cancelled().
void fetch_files(const std::vector<Download>& files, const TransferLimits& limits,
                 const std::string& label);

}  // namespace tensormill
