#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace tensormill {

// Work that a device has recorded and can run again at little cost. Addresses and launch bounds are
// those of the recording; what lies at the addresses may change.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void replay() = 0;
};

// A place that models run on: memory, and one queue of work in order. Used by one thread at a time.
// What the device itself reports as failed is an Error kInternal naming it.
class Device {
 public:
  virtual ~Device() = default;

  virtual const std::string& name() const = 0;  // "cpu", "cuda:0"
  virtual bool on_host() const = 0;             // its memory is the host's, work is done at once
  virtual int64_t total() const = 0;            // bytes of memory
  virtual int64_t available() const = 0;        // bytes that may still be taken

  // Zeroed memory, aligned to 256 bytes (64 on the host); null where there is not so much.
  virtual void* take(size_t bytes) = 0;
  virtual void give(void* data, size_t bytes) noexcept = 0;
  // The host's memory that transfers read and write at full speed; work of the device may write to
  // it, too.
  virtual void* take_staging(size_t bytes) = 0;
  virtual void give_staging(void* data, size_t bytes) noexcept = 0;

  // `from` may change as soon as this returns.
  virtual void upload(void* to, const void* from, size_t bytes) = 0;
  // `from` is staging memory that stays as it is until the copy is done. May be recorded.
  virtual void upload_staged(void* to, const void* from, size_t bytes) = 0;
  // `to` holds the values after wait(), or, where it is staging memory, after wait_for().
  virtual void download(void* to, const void* from, size_t bytes) = 0;

  virtual void wait() = 0;               // until all work is done
  virtual void mark(int which) = 0;      // 0 or 1: everything enqueued so far
  virtual void wait_for(int which) = 0;  // until what was marked is done

  // Asked after an error: whether nothing that is enqueued here will ever run again.
  virtual bool lost() { return false; }

  // Records what `enqueue` enqueues, without running it; null where the device doesn't.
  virtual std::unique_ptr<Recording> record(const std::function<void()>& enqueue) = 0;
};

// The host's own memory: large pieces are backed by huge pages where the system gives them.
Device& host_device();

}  // namespace tensormill
