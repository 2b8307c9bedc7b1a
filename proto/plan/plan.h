#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "proto/address_space.h"
#include "proto/error.h"

namespace longwire::plan {

/// A read plan: a small program of reads that runs next to the target, so that a list walk or a table search
/// costs one round trip. It has 16 registers of 64 bits, reads memory, emits records, and cannot write.
/// docs/protocol.md "Read plans" describes every operation.
enum class Op : std::uint8_t {
  kEnd = 0,           ///< stop
  kConst = 1,         ///< a = immediate
  kMove = 2,          ///< a = b
  kAdd = 3,           ///< a = b + c
  kAddImmediate = 4,  ///< a = b + immediate
  kSubtract = 5,      ///< a = b - c
  kMultiply = 6,      ///< a = b * immediate
  kAnd = 7,           ///< a = b & immediate
  kShiftLeft = 8,     ///< a = b << immediate (0..63)
  kShiftRight = 9,    ///< a = b >> immediate (0..63), logical
  kLoad = 10,  ///< a = little-endian value of `size` (1, 2, 4, 8) bytes at b + immediate; unreadable: jump to
               ///< target
  kEmit = 11,  ///< record: `size` = tag, memory at b + immediate, length in c; a = bytes emitted
  kEmitRegister = 12,  ///< record: `size` = tag, value of b, no data
  kJump = 13,          ///< jump to target
  kJumpEqual = 14,     ///< if a == b jump to target
  kJumpNotEqual = 15,  ///< if a != b jump to target
  kJumpBelow = 16,     ///< if a < b (unsigned) jump to target
  kUseVirtual = 17,    ///< following reads: address space of the stopped thread
  kUsePhysical = 18,   ///< following reads: physical memory
  kUsePageTable = 19,  ///< following reads: virtual through the page table whose base is in a
  kSearch =
      20,  ///< a = first address >= b, < b + c, where pattern number `immediate` stands; none: jump to target
  kMinimum = 21,  ///< a = min(b, c), unsigned
};
inline constexpr std::uint8_t kLastOp = 21;
inline constexpr std::size_t kRegisters = 16;

struct Instruction {
  Op op = Op::kEnd;
  std::uint8_t a = 0, b = 0, c = 0;  ///< register numbers
  std::uint32_t size = 0;            ///< kLoad: bytes; kEmit, kEmitRegister: tag
  std::uint32_t target = 0;          ///< index of an instruction, for jumps and failures
  std::uint64_t immediate = 0;
};

struct Limits {
  std::uint64_t operations = 1'000'000;      ///< instructions executed
  std::uint64_t bytes = 16u << 20;           ///< memory asked of the target, emitted and loaded together
  std::uint64_t searched_bytes = 64u << 20;  ///< memory looked through by kSearch
  std::uint32_t records = 65'536;
};
inline constexpr std::size_t kMaxInstructions = 1024;
inline constexpr std::size_t kMaxPatterns = 16;
inline constexpr std::size_t kMaxPatternBytes = 256;
inline constexpr std::uint64_t kMaxEmitBytes = 4u << 20;  ///< one kEmit; more is cut

struct Plan {
  std::vector<Instruction> program;
  std::vector<std::vector<std::byte>> patterns;  ///< for kSearch
};

/// One thing a plan found. Memory records of unreadable memory have fewer bytes than were asked for.
struct Record {
  std::uint32_t tag = 0;
  AddressSpace space;
  std::uint64_t address = 0;  ///< kEmit: where; kEmitRegister: 0
  std::uint64_t value = 0;    ///< kEmit: bytes asked for; kEmitRegister: the value
  std::uint64_t data_size =
      0;  ///< bytes of this record in Output::data, which holds the records' bytes in order
};

enum class Ending : std::uint8_t {
  kFinished = 0,
  kOperationLimit = 1,
  kByteLimit = 2,
  kRecordLimit = 3,
  kTimeLimit = 4,  ///< set by whoever runs the plan
  kCancelled = 5,  ///< likewise
};

struct Output {
  std::vector<Record> records;
  std::vector<std::byte> data;
  Ending ending = Ending::kFinished;  ///< anything but kFinished: the records are what was found until then
};

/// Checks register numbers, sizes, jump targets and counts of a plan that came from a peer.
Result<void> Validate(const Plan& plan);

/// Runs one plan without doing any I/O: ask Next(), do what it says, supply the answer, repeat.
class Interpreter {
 public:
  struct Action {
    enum class Kind { kRead, kSearch, kDone } kind = Kind::kDone;
    AddressSpace space;
    std::uint64_t address = 0;
    std::uint64_t length = 0;            ///< kRead: bytes wanted; kSearch: bytes to look through
    std::span<const std::byte> pattern;  ///< kSearch
  };

  /// `plan` must have passed Validate() and outlive the interpreter.
  explicit Interpreter(const Plan& plan, Limits limits = {});

  /// What is needed next. After kRead or kSearch the matching Supply call is required before the next Next().
  Action Next();
  /// Answers kRead with the readable prefix (may be empty).
  void SupplyMemory(std::span<const std::byte> prefix);
  /// Answers kSearch.
  void SupplySearch(bool found, std::uint64_t address);

  /// Ends early, keeping what was found.
  void Stop(Ending why);
  Output TakeOutput();

 private:
  bool CountRead(std::uint64_t length);

  const Plan& plan_;
  Limits limits_;
  std::array<std::uint64_t, kRegisters> registers_{};
  AddressSpace space_;
  std::size_t next_ = 0;
  std::uint64_t operations_ = 0, bytes_ = 0, searched_ = 0;
  bool done_ = false;
  Action pending_;
  Output output_;
};

}  // namespace longwire::plan
