#ifndef TESTS_SUPPORT_KD_PROBE_H_
#define TESTS_SUPPORT_KD_PROBE_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace longwire::test {

using Bytes = std::vector<uint8_t>;

/// One packet as it came: `leader` is 0x30 or 0x69, the payload is empty for control packets.
struct KdFrame {
  uint8_t leader = 0;
  uint16_t type = 0;
  uint32_t id = 0;
  Bytes payload;
  bool is_control(uint16_t wanted) const { return leader == 0x69 && type == wanted; }
  bool is_data(uint16_t wanted) const { return leader == 0x30 && type == wanted; }
};

/// Answer to a manipulate request; `head` are the 56 bytes, `data` what follows.
struct KdReply {
  uint32_t status = 0xFFFFFFFF;
  Bytes head;
  Bytes data;
};

inline constexpr uint16_t kManipulate = 2, kDebugIo = 3, kAck = 4, kResend = 5, kReset = 6, kStateChange = 7,
                          kFileIo = 11;
inline constexpr uint32_t kFirstId = 0x80800000, kSecondId = 0x80800001, kSyncBit = 0x800;

uint16_t Load16(const Bytes& bytes, size_t at);
uint32_t Load32(const Bytes& bytes, size_t at);
uint64_t Load64(const Bytes& bytes, size_t at);
void Store32(Bytes* bytes, size_t at, uint32_t value);
void Store64(Bytes* bytes, size_t at, uint64_t value);

/// A KD host of a few lines for tests, written from kd-protocol.md alone and sharing no code with proto/kd,
/// so that the two check each other. Blocking; every wait ends after 5 s unless a call says otherwise. The
/// lower half sends exactly what it is told; the upper half keeps ids and acknowledges.
class KdProbe {
 public:
  explicit KdProbe(int fd) : fd_(fd) {}
  KdProbe(const KdProbe&) = delete;
  KdProbe& operator=(const KdProbe&) = delete;
  ~KdProbe();

  // Lower half.
  void SendRaw(const Bytes& bytes);
  void SendByte(uint8_t byte) { SendRaw({byte}); }
  void SendControl(uint16_t type, uint32_t id);
  void SendData(uint16_t type, uint32_t id, const Bytes& payload) { SendRaw(Frame(type, id, payload)); }
  static Bytes Frame(uint16_t type, uint32_t id, const Bytes& payload);
  /// The next packet, or nothing when the line stayed silent for `patience`.
  std::optional<KdFrame> Receive(std::chrono::milliseconds patience = std::chrono::seconds(5));
  /// True when nothing at all arrived for that long.
  bool Silent(std::chrono::milliseconds span);

  // Upper half.
  uint32_t next_id() const { return next_id_; }
  void set_next_id(uint32_t id) { next_id_ = id; }
  /// Next data packet, acknowledged; prints are kept in prints() and passed over unless `any`.
  std::optional<KdFrame> Next(bool any = false, std::chrono::milliseconds patience = std::chrono::seconds(5));
  /// Sends a data packet and waits for its ACK, answering RESEND.
  bool Send(uint16_t type, const Bytes& payload);
  static Bytes Request(uint32_t api, uint16_t processor = 0);
  KdReply Exchange(const Bytes& request);
  KdReply Exchange(uint32_t api) { return Exchange(Request(api)); }
  /// The state change of the next stop, or nothing.
  std::optional<Bytes> WaitForStop();
  /// Sends a break-in byte and waits for the stop.
  std::optional<Bytes> BreakIn();
  bool Continue(uint32_t status = 0x00010001, bool trace = false, uint64_t dr7 = 0x400);
  /// Continues from a hard-coded breakpoint instruction: moves the program counter over it first.
  bool ContinueOverBreak();

  KdReply Read(uint64_t address, uint32_t size, uint32_t api = 0x3130);
  Bytes ReadAll(uint64_t address, uint32_t size);
  uint64_t ReadPointer(uint64_t address);
  KdReply Write(uint64_t address, const Bytes& bytes, uint32_t api = 0x3131);
  Bytes GetContext(uint16_t processor = 0);
  KdReply SetContext(const Bytes& context, uint16_t processor = 0);
  KdReply ControlSpace(uint64_t selector, uint32_t size, uint16_t processor = 0);
  /// Names of loaded modules in list order with their bases.
  std::vector<std::pair<std::string, uint64_t>> Modules();
  /// Address of an exported symbol of any loaded module, 0 when there is none.
  uint64_t FindExport(const std::string& name);

  const std::vector<std::string>& prints() const { return prints_; }

 private:
  bool Fill(size_t count, std::chrono::steady_clock::time_point deadline);
  bool FindLeader(std::chrono::steady_clock::time_point deadline);
  void NoteDelivered(const KdFrame& frame);

  int fd_;
  Bytes input_;
  uint32_t next_id_ = kFirstId;
  uint32_t expected_id_ = kFirstId;
  std::vector<std::string> prints_;
  std::map<std::string, uint64_t> exports_;
};

}  // namespace longwire::test

#endif  // TESTS_SUPPORT_KD_PROBE_H_
