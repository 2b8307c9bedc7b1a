// Byte-exact vectors E01 to E21 of kd-protocol.md section 9, encoded or decoded, whichever is the host's
// part.
#include "tests/unit/proto_kd/worked_packets.h"

#include <gtest/gtest.h>

#include "proto/kd/debug_io.h"
#include "proto/kd/file_io.h"
#include "proto/kd/manipulate.h"
#include "proto/kd/packet.h"
#include "proto/kd/state_change.h"

namespace longwire::kd::testing {
namespace {

constexpr std::uint32_t kN = 0x80800000;
constexpr std::uint32_t kN1 = 0x80800001;
constexpr std::uint64_t kDataList = 0xFFFFF8026BEF91F0;

Bytes Manipulate(std::uint32_t id, const Bytes& payload) {
  return EncodeDataPacket(PacketType::kStateManipulate, id, payload);
}

ManipulateReply Reply(const Bytes& payload) { return DecodeReply(payload).value(); }

TEST(KdWorkedPackets, E01_E02_Reset) {
  EXPECT_EQ(EncodeControlPacket(PacketType::kReset, 0), FromHex(kE01));
  EXPECT_EQ(EncodeControlPacket(PacketType::kReset, 0), FromHex(kE02));
}
TEST(KdWorkedPackets, E03_Acknowledge) {
  EXPECT_EQ(EncodeControlPacket(PacketType::kAcknowledge, kN), FromHex(kE03));
}
TEST(KdWorkedPackets, E04_Resend) { EXPECT_EQ(EncodeControlPacket(PacketType::kResend, 0), FromHex(kE04)); }

TEST(KdWorkedPackets, E05_BreakIn) {
  const Bytes frame = FromHex(kE05);
  const PacketHeader header = DecodeHeader(frame);
  EXPECT_EQ(header.type, PacketType::kStateChange64);
  EXPECT_EQ(header.id, kN | kSyncBit);
  EXPECT_EQ(header.byte_count, 0xF0);
  EXPECT_EQ(header.checksum, 0x2F8Eu);
  const Bytes payload = PayloadOf(kE05);
  EXPECT_EQ(Checksum(payload), header.checksum);
  EXPECT_EQ(EncodeDataPacket(header.type, header.id, payload), frame);

  const StateChange change = DecodeStateChange(payload).value();
  EXPECT_EQ(change.processor_level, 6);
  EXPECT_EQ(change.processor, 0);
  EXPECT_EQ(change.processor_count, 1u);
  EXPECT_EQ(change.thread, 0xFFFFF8026BF65A00);
  EXPECT_EQ(change.program_counter, 0xFFFFF8026BD72B90);
  const auto& exception = std::get<ExceptionReport>(change.report);
  EXPECT_EQ(exception.code, kExceptionBreakpoint);
  EXPECT_EQ(exception.address, change.program_counter);
  EXPECT_EQ(exception.parameter_count, 1u);
  EXPECT_TRUE(exception.first_chance);
  const ControlReport report = DecodeControlReport(Machine::kAmd64, change);
  EXPECT_TRUE(report.valid);
  EXPECT_EQ(report.dr6, 0xFFFF0FF0u);
  EXPECT_EQ(report.dr7, 0x400u);
  EXPECT_EQ(report.eflags, 0x202u);
  EXPECT_EQ(report.instruction_count, 16);
  EXPECT_EQ(report.flags, 3);
  EXPECT_EQ(report.instructions[0], std::byte{0xCC});
  EXPECT_EQ(report.instructions[8], std::byte{0x0F});
  EXPECT_EQ(report.cs, 0x10);
  EXPECT_EQ(report.fs, 0x53);
}

TEST(KdWorkedPackets, E06_GetVersionRequest) { EXPECT_EQ(Manipulate(kN, EncodeGetVersion()), FromHex(kE06)); }

TEST(KdWorkedPackets, E07_GetVersionReply) {
  const Bytes payload = PayloadOf(kE07);
  const ManipulateReply reply = Reply(payload);
  EXPECT_EQ(reply.api, Api::kGetVersion);
  const Version version = DecodeVersion(reply);
  EXPECT_EQ(version.build, 9600);
  EXPECT_EQ(version.flags, 7);
  EXPECT_EQ(version.protocol, 6);
  EXPECT_EQ(version.secondary, 2);
  EXPECT_EQ(version.machine, Machine::kAmd64);
  EXPECT_EQ(version.kernel_base, 0xFFFFF8026BC18000);
  EXPECT_EQ(version.loaded_module_list, 0xFFFFF8026BEE22D0);
  EXPECT_EQ(version.debugger_data_list, kDataList);
  EXPECT_FALSE(version.IsBootApplication());
  EXPECT_FALSE(version.IsCheckedBuild());
}

TEST(KdWorkedPackets, E08_ReadRequest) {
  EXPECT_EQ(Manipulate(kN1, EncodeReadVirtual(0, kDataList, 8)), FromHex(kE08));
}

TEST(KdWorkedPackets, E09_ReadReply) {
  const Bytes payload = PayloadOf(kE09);
  const ReadResult read = DecodeRead(Reply(payload), 8);
  EXPECT_TRUE(read.complete);
  EXPECT_FALSE(read.inconsistent);
  EXPECT_EQ(Load64(read.data, 0), 0xFFFFF8026BEAFA20);
}

TEST(KdWorkedPackets, E10_ReadFailure) {
  const Bytes payload = PayloadOf(kE10);
  const ReadResult read = DecodeRead(Reply(payload), 16);
  EXPECT_EQ(read.status, kStatusUnsuccessful);
  EXPECT_FALSE(read.complete);
  EXPECT_TRUE(read.data.empty());
}

TEST(KdWorkedPackets, E11_WriteBreakpoint) {
  EXPECT_EQ(Manipulate(kN1, EncodeWriteBreakpoint(0xFFFFF8026BD72B90)), FromHex(kE11));
}
TEST(KdWorkedPackets, E12_BreakpointHandle) { EXPECT_EQ(DecodeBreakpointHandle(Reply(PayloadOf(kE12))), 1u); }

TEST(KdWorkedPackets, E13_Continue2) {
  EXPECT_EQ(Manipulate(kN, EncodeContinue2(Machine::kAmd64, 0, kContinue, false, 0x400)), FromHex(kE13));
}

TEST(KdWorkedPackets, E14_Print) {
  const DebugIo print = DecodeDebugIo(PayloadOf(kE14)).value();
  EXPECT_EQ(print.kind, DebugIo::Kind::kPrint);
  EXPECT_EQ(print.text, "Hi!\n");
}

TEST(KdWorkedPackets, E15_E16_Prompt) {
  const DebugIo prompt = DecodeDebugIo(PayloadOf(kE15)).value();
  EXPECT_EQ(prompt.kind, DebugIo::Kind::kPrompt);
  EXPECT_EQ(prompt.text, "(bic)? ");
  EXPECT_EQ(prompt.max_answer, 2u);
  EXPECT_EQ(EncodeDataPacket(PacketType::kDebugIo, kN1, EncodePromptAnswer(prompt, "b")), FromHex(kE16));
  EXPECT_EQ(EncodePromptAnswer(prompt, "too long").size(), 18u);
}

TEST(KdWorkedPackets, E17_LoadSymbols) {
  const StateChange change = DecodeStateChange(PayloadOf(kE17)).value();
  const auto& load = std::get<LoadSymbolsReport>(change.report);
  EXPECT_EQ(load.path, "foo.sys");
  EXPECT_EQ(load.base, 0xFFFFF80100200000);
  EXPECT_EQ(load.process, ~std::uint64_t{0});
  EXPECT_EQ(load.checksum, 0x1F00Du);
  EXPECT_EQ(load.size, 0x9000u);
  EXPECT_FALSE(load.unload);
  EXPECT_FALSE(load.UnloadsAll());
}

TEST(KdWorkedPackets, E18_FileNotMapped) {
  Bytes request = PayloadOf(kE18);
  Store(std::span<std::byte>(request), 4, std::uint32_t{0});
  const Bytes name = FromHex("5c0061000000");
  request.insert(request.end(), name.begin(), name.end());
  const FileRequest file = DecodeFileRequest(request).value();
  EXPECT_EQ(std::get<FileCreate>(file.request).name, u"\\a");
  EXPECT_EQ(std::get<FileCreate>(file.request).desired_access, 0x120089u);
  EXPECT_EQ(EncodeDataPacket(PacketType::kFileIo, kN, EncodeFileStatus(file, kStatusNoSuchFile)),
            FromHex(kE18));
}

TEST(KdWorkedPackets, E19_ReadControlSpace) {
  EXPECT_EQ(Manipulate(kN1, EncodeReadControlSpace(1, 2, 0xE0)), FromHex(kE19));
}
TEST(KdWorkedPackets, E20_MsrReply) { EXPECT_EQ(DecodeMsr(Reply(PayloadOf(kE20))), 0xD01u); }
TEST(KdWorkedPackets, E21_ReadPhysical) {
  EXPECT_EQ(Manipulate(kN, EncodeReadPhysical(0, 0x1AB000, 8, Caching::kUncached)), FromHex(kE21));
}

}  // namespace
}  // namespace longwire::kd::testing
