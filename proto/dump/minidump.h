#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/dump/memory_windows.h"
#include "proto/dump/triage.h"
#include "proto/error.h"
#include "proto/kd/machine.h"

namespace longwire::dump {

/// A user minidump (MDMP, engine.md 1.9): threads, modules and memory of one process. Every offset in the
/// file may lie; a stream that is damaged is left out and named in warnings().
class Minidump {
 public:
  struct Thread {
    std::uint32_t id = 0, suspend_count = 0, priority_class = 0, priority = 0;
    std::uint64_t teb = 0;
    kd::Bytes context;  ///< CONTEXT record; empty if it is not in the file
  };
  struct System {
    std::uint32_t major = 0, minor = 0, build = 0, platform = 0;
    std::uint32_t processors = 1;
    std::string service_pack;
  };
  struct Exception {
    std::uint32_t thread_id = 0;
    std::uint32_t code = 0, flags = 0;
    std::uint64_t record = 0, address = 0;
    std::vector<std::uint64_t> parameters;
  };

  /// Errors: kMalformed (no minidump, or without the streams that nothing can be shown without), kUnsupported
  /// (a machine we do not know).
  static Result<Minidump> Open(std::unique_ptr<DumpFile> file);
  static bool Recognizes(const DumpFile& file);

  kd::Machine machine() const { return machine_; }
  const System& system() const { return system_; }
  bool full_memory() const { return full_memory_; }
  std::uint32_t process_id() const { return process_id_; }
  std::uint32_t time() const { return time_; }  ///< seconds since 1970
  const std::vector<Thread>& threads() const { return threads_; }
  const std::vector<DumpModule>& modules() const { return modules_; }
  const std::vector<DumpModule>& unloaded() const { return unloaded_; }
  /// The thread of the exception has the context of the exception.
  const std::optional<Exception>& exception() const { return exception_; }
  const std::string& comment() const { return comment_; }
  const std::vector<std::string>& warnings() const { return warnings_; }

  /// Reads the readable prefix of [address, address + out.size()).
  std::size_t ReadVirtual(std::uint64_t address, std::span<std::byte> out) const {
    return windows_.Read(*file_, address, out);
  }

 private:
  struct Stream {
    std::uint32_t type = 0, size = 0, offset = 0;
  };
  /// The stream's bytes, at most `most` of them; empty and a warning when it lies outside of the file.
  kd::Bytes ReadStream(const Stream& stream, std::size_t most, const char* what);
  /// Number of entries in a stream that begins with it, as far as they are there.
  std::size_t Entries(kd::ByteView bytes, std::size_t entry, const char* what);
  kd::Bytes ReadContext(kd::ByteView location) const;
  std::string ReadString(std::uint64_t offset);
  Result<void> ReadSystem(const Stream& stream);
  void ReadStreams(const std::vector<Stream>& streams);
  void ReadThreads(const Stream& stream);
  void ReadModules(const Stream& stream);
  void ReadUnloaded(const Stream& stream);
  void ReadMemory(const Stream& stream);
  void ReadMemory64(const Stream& stream);
  void ReadException(const Stream& stream);
  std::uint64_t Plain(std::uint64_t address) const { return kd::PlainAddress(machine_, address); }

  std::unique_ptr<DumpFile> file_;
  kd::Machine machine_ = kd::Machine::kUnknown;
  System system_;
  bool full_memory_ = false;
  std::uint32_t process_id_ = 0, time_ = 0;
  std::vector<Thread> threads_;
  std::vector<DumpModule> modules_, unloaded_;
  /// Bytes that names may still take: all modules of a foreign file may name the same long string.
  std::size_t names_left_ = 1u << 20;
  std::optional<Exception> exception_;
  std::string comment_;
  MemoryWindows windows_;
  std::vector<std::string> warnings_;
};

}  // namespace longwire::dump
