#include "artifacts/download.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <thread>

#include "artifacts/partial_file.h"
#include "artifacts/progress.h"
#include "base/error.h"

namespace fs = std::filesystem;

namespace tensormill {
namespace {

// The server sends whole files only.
struct NoRanges {};
// The piece isn't wanted any more: the file began anew.
struct Outdated {};

struct ContentRange {
  int64_t begin = -1, total = -1;
};

// "bytes 0-99/1234"
ContentRange content_range(const WebReply& reply) {
  ContentRange range;
  const std::string& text = reply.header("content-range");
  if (!text.starts_with("bytes ")) return range;
  const char* end = text.data() + text.size();
  std::from_chars(text.data() + 6, end, range.begin);
  const size_t slash = text.find('/');
  if (slash != std::string::npos) std::from_chars(text.data() + slash + 1, end, range.total);
  return range;
}

// One file under way.
struct Transfer {
  Transfer(const Download& which, int64_t piece_bytes)
      : file(which), partial(which.base, which.size, piece_bytes, which.tag) {
    if (which.size < 0) partial.reset();  // nothing says that what is left belongs to it
  }

  const Download& file;
  PartialFile partial;
  std::atomic<size_t> left{0};  // pieces
  int wrong_checksums = 0;
  std::atomic<bool> no_digest{false};

  // Writers share it; who begins anew has it alone.
  std::shared_mutex gate;
  int generation = 0;

  std::mutex redirect_mutex;
  std::string redirect;  // where the request led to on another host, asked directly from then on
};

class Fetcher {
 public:
  Fetcher(const std::vector<Download>& files, const TransferLimits& limits,
          const std::string& label);
  void run();

 private:
  struct Piece {
    Transfer* transfer;
    size_t index;
    int generation;
  };

  bool stopped() const { return failed_ || transfers_cancelled(); }
  void check_room() const;
  void push_all(Transfer& transfer);
  std::optional<Piece> next();
  void work();
  void run_piece(WebClient& client, const Piece& piece);
  bool try_piece(WebClient& client, const Piece& piece, Retry& retry);
  WebRequest request_for(Transfer& transfer, PartialFile::Piece rest, bool* redirected);
  void take(const Piece& piece, PartialFile::Piece rest, const WebReply& head,
            std::span<const std::byte> bytes, bool* begun);
  void begin_as_one_piece(const Piece& piece);
  void finish(Transfer& transfer);
  void save() const;

  const TransferLimits& limits_;
  std::vector<std::unique_ptr<Transfer>> transfers_;
  std::unique_ptr<Progress> progress_;
  std::string label_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Piece> queue_;
  size_t outstanding_ = 0;  // pieces that wait or run
  std::exception_ptr error_;
  std::atomic<bool> failed_{false};
};

Fetcher::Fetcher(const std::vector<Download>& files, const TransferLimits& limits,
                 const std::string& label)
    : limits_(limits), label_(label) {
  for (const Download& file : files) {
    transfers_.push_back(std::make_unique<Transfer>(file, limits.piece_bytes));
  }
}

void Fetcher::check_room() const {
  std::map<fs::path, int64_t> needed;
  for (const auto& transfer : transfers_) {
    needed[transfer->partial.path().parent_path()] += transfer->partial.missing_bytes();
  }
  for (const auto& [folder, bytes] : needed) {
    std::error_code error;
    const fs::space_info space = fs::space(folder, error);
    if (error || static_cast<uintmax_t>(bytes) <= space.available) continue;
    throw_error(ErrorKind::kOutOfMemory,
                "{}: {} are to be downloaded to {}, where {} are free; make room, or have the "
                "cache elsewhere",
                label_, bytes_text(static_cast<double>(bytes)), folder.string(),
                bytes_text(static_cast<double>(space.available)));
  }
}

// With the transfer's gate taken, or before there are threads.
void Fetcher::push_all(Transfer& transfer) {
  const std::lock_guard lock(mutex_);
  // A file of which nothing is missing has one piece that finds so.
  const size_t count = std::max<size_t>(1, transfer.partial.pieces());
  transfer.left = count;
  for (size_t i = 0; i < count; ++i) queue_.push_back({&transfer, i, transfer.generation});
  outstanding_ += count;
  changed_.notify_all();
}

std::optional<Fetcher::Piece> Fetcher::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !queue_.empty() || outstanding_ == 0 || failed_; });
  if (queue_.empty() || failed_) return std::nullopt;
  const Piece piece = queue_.front();
  queue_.pop_front();
  return piece;
}

void Fetcher::work() {
  WebClient client([this] { return stopped(); });
  while (const std::optional<Piece> piece = next()) {
    std::exception_ptr error;
    try {
      run_piece(client, *piece);
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    --outstanding_;
    if (error && !error_) error_ = error;
    if (error) failed_ = true;
    if (outstanding_ == 0 || failed_) changed_.notify_all();
  }
}

void Fetcher::save() const {
  for (const auto& transfer : transfers_) {
    if (transfer->left > 0) transfer->partial.save();
  }
}

void Fetcher::run() {
  check_room();
  int64_t total = 0, there = 0;
  bool known = true;
  for (const auto& transfer : transfers_) {
    known = known && transfer->file.size >= 0;
    if (transfer->file.size < 0) continue;
    total += transfer->file.size;
    there += transfer->file.size - transfer->partial.missing_bytes();
  }
  if (there > 0) {
    spdlog::info("{}: {} are there already from an earlier try", label_,
                 bytes_text(static_cast<double>(there)));
  }
  progress_ = std::make_unique<Progress>(label_, known ? total - there : 0, [this] { save(); });
  for (const auto& transfer : transfers_) push_all(*transfer);
  const auto count = std::min<size_t>(static_cast<size_t>(limits_.connections), outstanding_);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < count; ++i) threads.emplace_back([this] { work(); });
  for (std::thread& thread : threads) thread.join();
  progress_.reset();
  save();
  if (error_) std::rethrow_exception(error_);
}

WebRequest Fetcher::request_for(Transfer& transfer, PartialFile::Piece rest, bool* redirected) {
  WebRequest request = transfer.file.request;
  {
    const std::lock_guard lock(transfer.redirect_mutex);
    *redirected = !transfer.redirect.empty();
    if (*redirected) {
      request.url = transfer.redirect;
      request.secrets.clear();
    }
  }
  const bool whole = rest.begin == 0 && rest.end == transfer.file.size;
  if (!whole && rest.begin + (rest.end > 0 ? 1 : 0) > 0) {
    request.begin = rest.begin;
    request.end = rest.end;
  }
  if (!*redirected && transfer.file.sign) transfer.file.sign(request);
  return request;
}

// Bytes of a reply; the first of them tell whether it is the reply that was asked for.
void Fetcher::take(const Piece& piece, PartialFile::Piece rest, const WebReply& head,
                   std::span<const std::byte> bytes, bool* begun) {
  Transfer& transfer = *piece.transfer;
  const std::shared_lock lock(transfer.gate);
  if (transfer.generation != piece.generation) throw Outdated{};
  PartialFile& partial = transfer.partial;
  if (!*begun) {
    *begun = true;
    if (transfer.file.no_digest && transfer.file.no_digest(head)) transfer.no_digest = true;
    const bool whole = partial.pieces() == 1 && rest.end == transfer.file.size;
    if (head.status == 200 && !whole) throw NoRanges{};
    if (head.status == 200 && rest.begin > 0) {
      progress_->add(-rest.begin);
      partial.reset();
    }
    const ContentRange range = content_range(head);
    const bool other = head.status == 206 &&
                       (range.begin != rest.begin || (transfer.file.size >= 0 && range.total >= 0 &&
                                                      range.total != transfer.file.size));
    if (other) {
      throw TransportError(ErrorKind::kArtifactInvalid,
                           fmt::format("{}: asked for bytes from {} of {}, the server sent \"{}\"",
                                       transfer.file.name, rest.begin, transfer.file.size,
                                       head.header("content-range")),
                           false);
    }
  }
  const PartialFile::Piece now = partial.missing(piece.index);
  if (now.end >= 0 && static_cast<int64_t>(bytes.size()) > now.end - now.begin) {
    throw TransportError(ErrorKind::kArtifactInvalid,
                         fmt::format("{}: the server sends more than {} bytes", transfer.file.name,
                                     transfer.file.size),
                         false);
  }
  partial.append(piece.index, bytes);
  progress_->add(static_cast<int64_t>(bytes.size()));
}

// True: the piece is complete. Errors: what makes further tries useless.
bool Fetcher::try_piece(WebClient& client, const Piece& piece, Retry& retry) {
  Transfer& transfer = *piece.transfer;
  if (transfer.partial.pieces() == 0) return true;
  const PartialFile::Piece rest = transfer.partial.missing(piece.index);
  if (rest.begin == rest.end) return true;
  bool redirected = false, begun = false;
  const WebRequest request = request_for(transfer, rest, &redirected);
  std::string failure;
  try {
    const WebReply reply =
        client.send(request, [&](const WebReply& head, std::span<const std::byte> bytes) {
          take(piece, rest, head, bytes, &begun);
          retry.progressed();
        });
    if (reply.status == 200 || reply.status == 206) {
      const std::lock_guard lock(transfer.redirect_mutex);
      if (origin_of(reply.url) != origin_of(request.url)) transfer.redirect = reply.url;
      if (rest.end < 0) transfer.partial.end_here(piece.index);
      const PartialFile::Piece now = transfer.partial.missing(piece.index);
      if (now.begin == now.end) return true;
      failure = fmt::format("{}: the server stopped before the end", transfer.file.name);
    } else if (is_transient(reply.status)) {
      failure = fmt::format("{}: status {} from {}", transfer.file.name, reply.status,
                            host_of(reply.url));
      if (retry.wait(failure, &reply)) return false;
      transfer.file.refuse(reply);
    } else if (redirected || origin_of(reply.url) != origin_of(request.url)) {
      // An address that a redirect named is good for a while only.
      const std::lock_guard lock(transfer.redirect_mutex);
      transfer.redirect.clear();
      failure = fmt::format("{}: status {} from {}", transfer.file.name, reply.status,
                            host_of(reply.url));
    } else {
      transfer.file.refuse(reply);
      failure = fmt::format("{}: status {}", transfer.file.name, reply.status);
    }
  } catch (const TransportError& error) {
    if (!error.transient()) throw;
    failure = fmt::format("{}: {}", transfer.file.name, error.what());
  }
  if (retry.wait(failure)) return false;
  throw TransportError(ErrorKind::kInternal,
                       fmt::format("{} (given up after {} tries; what has been downloaded is kept, "
                                   "and the next try goes on from there)",
                                   failure, retry.failures()),
                       false);
}

void Fetcher::run_piece(WebClient& client, const Piece& piece) {
  Transfer& transfer = *piece.transfer;
  Retry retry(limits_, [this] { return stopped(); });
  try {
    while (true) {
      {
        const std::shared_lock lock(transfer.gate);
        if (transfer.generation != piece.generation) return;
      }
      if (try_piece(client, piece, retry)) break;
    }
  } catch (const NoRanges&) {
    return begin_as_one_piece(piece);
  } catch (const Outdated&) {
    return;
  }
  {
    const std::shared_lock lock(transfer.gate);
    if (transfer.generation != piece.generation || --transfer.left > 0) return;
  }
  finish(transfer);
}

void Fetcher::begin_as_one_piece(const Piece& piece) {
  Transfer& transfer = *piece.transfer;
  const std::unique_lock lock(transfer.gate);
  if (transfer.generation != piece.generation) return;
  ++transfer.generation;
  progress_->add(transfer.partial.missing_bytes() - transfer.file.size);
  transfer.partial.make_one_piece();
  push_all(transfer);
}

void Fetcher::finish(Transfer& transfer) {
  const Download& file = transfer.file;
  if (file.digest != Digest::kNone && !transfer.no_digest) {
    const std::string actual =
        digest_of_file(file.digest, transfer.partial.path(), [this] { return stopped(); });
    if (actual != file.expected) {
      const char* name = file.digest == Digest::kSha256 ? "SHA-256"
                         : file.digest == Digest::kMd5  ? "MD5"
                                                        : "git SHA-1";
      if (transfer.wrong_checksums++ > 0) {
        transfer.partial.remove();
        throw_error(ErrorKind::kArtifactInvalid,
                    "{}: wrong checksum twice: {} {}, expected {}; the file was deleted", file.name,
                    name, actual, file.expected);
      }
      spdlog::warn("{}: wrong checksum ({} {}, expected {}); downloading it again", file.name, name,
                   actual, file.expected);
      const std::unique_lock lock(transfer.gate);
      ++transfer.generation;
      progress_->add(-file.size);
      transfer.partial.reset();
      push_all(transfer);
      return;
    }
  }
  transfer.partial.move_to(file.target);
}

}  // namespace

void fetch_files(const std::vector<Download>& files, const TransferLimits& limits,
                 const std::string& label) {
  if (files.empty()) return;
  Fetcher(files, limits, label).run();
}

}  // namespace tensormill
