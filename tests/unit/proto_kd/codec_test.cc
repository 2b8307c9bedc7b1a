// Codecs: the parts of H29, H30 and H40 to H56 of kd-protocol.md 10 that are decoding and encoding.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <map>

#include "proto/kd/context.h"
#include "proto/kd/control_request.h"
#include "proto/kd/debug_io.h"
#include "proto/kd/debugger_data.h"
#include "proto/kd/file_io.h"
#include "proto/kd/manipulate.h"
#include "proto/kd/stale_break.h"
#include "proto/kd/state_change.h"
#include "proto/kd/trace_io.h"
#include "tests/unit/proto_kd/worked_packets.h"

namespace longwire::kd::testing {
namespace {

using ::testing::ElementsAre;

Bytes ReadReply(std::uint32_t status, std::uint32_t actual, std::size_t present) {
  Bytes payload(kManipulateSize + present, std::byte{0x5A});
  const std::span<std::byte> out(payload);
  Store(out, 0x00, static_cast<std::uint32_t>(Api::kReadVirtual));
  Store(out, 0x08, status);
  Store(out, 0x1C, actual);
  return payload;
}

ReadResult Decode(const Bytes& payload, std::uint32_t requested) {
  return DecodeRead(DecodeReply(payload).value(), requested);
}

Bytes FileHeader(std::uint32_t api) {
  Bytes payload(kFileIoSize);
  Store(std::span<std::byte>(payload), 0, api);
  return payload;
}

TEST(KdHost, H29_UnmappedFileEchoesTheHeader) {
  Bytes request = FileHeader(0x3430);
  Store(std::span<std::byte>(request), 0x38, std::uint64_t{0x1122334455667788});
  const Bytes answer = EncodeFileStatus(DecodeFileRequest(request).value(), kStatusNoSuchFile);
  EXPECT_EQ(answer.size(), kFileIoSize);
  EXPECT_EQ(Load32(answer, 4), 0xC000000Fu);
  EXPECT_EQ(Load64(answer, 0x38), 0x1122334455667788u);
}

TEST(KdHost, H30_MappedFile) {
  const Bytes content(10000, std::byte{7});
  const Bytes created = EncodeFileCreated(DecodeFileRequest(FileHeader(0x3430)).value(), 5, content.size());
  EXPECT_EQ(Load64(created, 0x20), 5u);
  EXPECT_EQ(Load64(created, 0x28), 10000u);
  std::size_t offset = 0;
  std::vector<std::uint32_t> lengths;
  do {
    Bytes request = FileHeader(0x3431);
    Store(std::span<std::byte>(request), 0x08, std::uint64_t{5});
    Store(std::span<std::byte>(request), 0x10, std::uint64_t{offset});
    Store(std::span<std::byte>(request), 0x18, std::uint32_t{4096});
    const FileRequest file = DecodeFileRequest(request).value();
    const auto& read = std::get<FileRead>(file.request);
    EXPECT_EQ(read.handle, 5u);
    const Bytes answer = EncodeFileData(file, ByteView(content).subspan(read.offset));
    lengths.push_back(Load32(answer, 0x18));
    EXPECT_EQ(answer.size(), kFileIoSize + lengths.back());
    offset += lengths.back();
  } while (lengths.back() != 0);
  EXPECT_THAT(lengths, ElementsAre(3936, 3936, 2128, 0));
  EXPECT_EQ(Load32(EncodeFileStatus(DecodeFileRequest(FileHeader(0x3433)).value(), 0), 4), 0u);
}

TEST(KdFileIo, WriteIsClippedToItsData) {
  Bytes request = FileHeader(0x3432);
  Store(std::span<std::byte>(request), 0x18, std::uint32_t{100});
  request.resize(request.size() + 10);
  const FileRequest file = DecodeFileRequest(request).value();
  EXPECT_EQ(std::get<FileWrite>(file.request).length, 10u);
  EXPECT_EQ(Load32(EncodeFileStatus(file, kStatusAccessDenied), 4), kStatusAccessDenied);
}

TEST(KdFileIo, UnknownRequestAndShortPacket) {
  EXPECT_EQ(std::get<FileUnknown>(DecodeFileRequest(FileHeader(0x3439)).value().request).api, 0x3439u);
  EXPECT_EQ(DecodeFileRequest(Bytes(63)).error().code, Errc::kMalformed);
}

TEST(KdHost, H40_ReadsAreSplitAtPagesAndPackets) {
  std::uint64_t address = 0xFFFFF80000000F80, remaining = 10000;
  std::vector<std::uint32_t> chunks;
  while (remaining > 0) {
    chunks.push_back(ReadChunk(address, remaining));
    address += chunks.back();
    remaining -= chunks.back();
  }
  EXPECT_THAT(chunks, ElementsAre(128, 3944, 152, 3944, 152, 1680));
  EXPECT_EQ(ReadChunk(0xFFFFFFFFFFFFFFFF, 10), 1u);
}

TEST(KdHost, H41_PartialReadWithFailureStatus) {
  const Bytes payload = ReadReply(kStatusUnsuccessful, 100, 100);
  const ReadResult read = Decode(payload, 200);
  EXPECT_EQ(read.data.size(), 100u);
  EXPECT_FALSE(read.complete);
  EXPECT_FALSE(read.inconsistent);
  EXPECT_EQ(read.status, kStatusUnsuccessful);
}

TEST(KdHost, H42_SuccessWithFewerBytes) {
  const Bytes payload = ReadReply(0, 60, 60);
  const ReadResult read = Decode(payload, 100);
  EXPECT_EQ(read.data.size(), 60u);
  EXPECT_FALSE(read.complete);
  EXPECT_FALSE(IsFailure(read.status));
  const Bytes empty = ReadReply(0, 0, 0);
  EXPECT_TRUE(Decode(empty, 100).data.empty());
  EXPECT_FALSE(Decode(empty, 100).complete);
}

TEST(KdHost, H43_ActualBytesLarger) {
  const Bytes more_than_present = ReadReply(0, 0xFFFFFFFF, 50);
  EXPECT_EQ(Decode(more_than_present, 100).data.size(), 50u);
  EXPECT_TRUE(Decode(more_than_present, 100).inconsistent);
  const Bytes more_than_requested = ReadReply(0, 300, 300);
  EXPECT_EQ(Decode(more_than_requested, 100).data.size(), 100u);
  EXPECT_TRUE(Decode(more_than_requested, 100).inconsistent);
  EXPECT_TRUE(Decode(more_than_requested, 100).complete);
}

TEST(KdHost, H44_ApiNumberIsVisible) {
  EXPECT_EQ(DecodeReply(PayloadOf(kE09)).value().api, Api::kReadVirtual);
  EXPECT_NE(DecodeReply(PayloadOf(kE07)).value().api, Api::kReadVirtual);
}

TEST(KdHost, H45_GetContextExRefused) {
  const Bytes request = EncodeGetContextEx(3, 0, 0x4D0);
  EXPECT_EQ(Load32(request, 0), 0x315Fu);
  EXPECT_EQ(Load16(request, 6), 3);
  EXPECT_EQ(Load32(request, 0x14), 0x4D0u);
  Bytes refusal = request;
  Store(std::span<std::byte>(refusal), 8, kStatusUnsuccessful);
  const ManipulateReply reply = DecodeReply(refusal).value();
  EXPECT_FALSE(reply.Succeeded());
  EXPECT_TRUE(DecodeContextEx(reply, 0x4D0).data.empty());
}

TEST(KdHost, H49_Continue2OfEachMachine) {
  const Bytes amd64 = EncodeContinue2(Machine::kAmd64, 1, kExceptionHandled, true, 0x455);
  EXPECT_EQ(amd64.size(), kManipulateSize);
  EXPECT_EQ(Load16(amd64, 6), 1);
  EXPECT_EQ(Load32(amd64, 0x08), kExceptionHandled);
  EXPECT_EQ(Load32(amd64, 0x10), kExceptionHandled);
  EXPECT_EQ(Load32(amd64, 0x14), 1u);
  EXPECT_EQ(Load64(amd64, 0x18), 0x455u);
  EXPECT_EQ(Load64(amd64, 0x20), 1u);
  EXPECT_EQ(Load64(amd64, 0x28), 0u);
  const Bytes x86 = EncodeContinue2(Machine::kX86, 0, kContinue, true, 0x455);
  EXPECT_EQ(Load32(x86, 0x14), 1u);
  EXPECT_EQ(Load32(x86, 0x18), 0x455u);
  EXPECT_EQ(Load32(x86, 0x1C), 1u);
  EXPECT_EQ(Load32(x86, 0x20), 0u);
  const Bytes step = EncodeContinue2(Machine::kArm64, 0, kContinue, true, 0x455);
  EXPECT_EQ(Load32(step, 0x14), 1u);
  EXPECT_EQ(Load32(step, 0x18), 1u);
  for (std::size_t at = 0x1C; at < 0x2C; at += 4) EXPECT_EQ(Load32(step, at), 0u);
  EXPECT_EQ(Load64(EncodeContinue2(Machine::kArm64, 0, kContinue, false, 0x455), 0x14), 0u);
}

TEST(KdHost, H51_StaleBreakIn) {
  constexpr std::uint64_t kPc = 0x1000, kBreak = 0x2000;
  const TimePoint start{std::chrono::seconds(5)};
  StaleBreak stale;
  stale.OnResume(start, kPc, true);
  EXPECT_TRUE(
      stale.Absorb(start + std::chrono::milliseconds(1), kExceptionBreakpoint, kBreak, kBreak, false));
  stale.OnResume(start, kPc, false);
  EXPECT_TRUE(stale.Absorb(start + std::chrono::milliseconds(1), kExceptionBreakpoint, kPc, kBreak, false));
  stale.OnResume(start, kPc, true);
  EXPECT_FALSE(stale.Absorb(start, kExceptionBreakpoint, kPc, kBreak, true)) << "an own breakpoint";
  stale.OnResume(start, kPc, true);
  EXPECT_FALSE(stale.Absorb(start, kExceptionBreakpoint, 0x3000, kBreak, false)) << "somewhere else";
  stale.OnResume(start, kPc, true);
  EXPECT_FALSE(stale.Absorb(start, kExceptionSingleStep, kPc, kBreak, false));
  stale.OnResume(start, kPc, true);
  EXPECT_FALSE(stale.Absorb(start + std::chrono::seconds(2), kExceptionBreakpoint, kPc, kBreak, false))
      << "too late";
  stale.OnResume(start, kPc, true);
  stale.OnBreakInRequested();
  EXPECT_FALSE(stale.Absorb(start, kExceptionBreakpoint, kBreak, kBreak, false)) << "asked for";
}

TEST(KdHost, H51_AtMost64StopsAreAbsorbed) {
  const TimePoint start{std::chrono::seconds(5)};
  StaleBreak stale;
  stale.OnResume(start, 0x1000, true);
  int absorbed = 0;
  while (stale.Absorb(start, kExceptionBreakpoint, 0x1000, 0, false)) {
    ++absorbed;
    stale.OnResume(start, 0x1000, false);
    ASSERT_LE(absorbed, 64);
  }
  EXPECT_EQ(absorbed, 64);
}

TEST(KdHost, H53_UnloadAll) {
  Bytes payload(kStateChangeSize);
  const std::span<std::byte> out(payload);
  Store(out, 0x00, std::uint32_t{0x13031});  // with the "alternate" bit
  Store(out, 0x28, ~std::uint64_t{0});
  Store(out, 0x40, std::uint8_t{1});
  EXPECT_TRUE(std::get<LoadSymbolsReport>(DecodeStateChange(payload).value().report).UnloadsAll());
  Store(out, 0x28, ~std::uint64_t{1});
  EXPECT_TRUE(std::get<LoadSymbolsReport>(DecodeStateChange(payload).value().report).UnloadsAll());
  Store(out, 0x28, std::uint64_t{0xFFFFF80000000000});
  EXPECT_FALSE(std::get<LoadSymbolsReport>(DecodeStateChange(payload).value().report).UnloadsAll());
}

TEST(KdHost, H54_VersionOfABootManager) {
  Bytes block = FromHex("0f045a290602020064860c3259000000");
  block.resize(0x28);
  Store(std::span<std::byte>(block), 0x10, std::uint64_t{0x96F000});
  Store(std::span<std::byte>(block), 0x18, std::uint64_t{0xAD5E60});
  const Version version = DecodeVersionBlock(block);
  EXPECT_EQ(version.build, 10586);
  EXPECT_TRUE(version.IsBootApplication());
  EXPECT_EQ(version.machine, Machine::kAmd64);
  EXPECT_EQ(PointerSize(version.machine), 8u);
  EXPECT_EQ(version.flags & Version::kPointer64, 0);
  EXPECT_FALSE(version.HasDebuggerData());
  EXPECT_EQ(version.loaded_module_list, 0xAD5E60u);
}

Bytes Block(std::uint32_t size) {
  Bytes block(size);
  for (std::size_t i = 0x18; i < size; ++i) block[i] = static_cast<std::byte>(i);
  Store(std::span<std::byte>(block), 0x10, kDebuggerDataTag);
  Store(std::span<std::byte>(block), 0x14, size);
  return block;
}

TEST(KdHost, H55_FieldsBeyondSizeAreAbsent) {
  struct Case {
    std::uint32_t size;
    std::string_view present, absent;
  };
  for (const Case& c : {Case{0x290, "MmSystemParentTablePage", "MmVirtualTranslationBase"},
                        Case{0x340, "OffsetPrcbContext", "OffsetKThreadStackLimit"},
                        Case{0x360, "OffsetKThreadWaitReason", "PteBase"},
                        Case{0x3A0, "OffsetPrcbExceptionStack", "NoSuchField"}}) {
    const DebuggerData data = DebuggerData::Parse(Block(c.size)).value();
    EXPECT_EQ(data.size(), c.size);
    EXPECT_TRUE(data.Get(c.present).has_value()) << c.present;
    EXPECT_FALSE(data.Get(c.absent).has_value()) << c.absent;
  }
}

TEST(KdHost, H55_BytesThatDidNotArriveAreAbsent) {
  const Bytes block = Block(0x360);
  const DebuggerData data = DebuggerData::Parse(ByteView(block).first(0x50)).value();
  EXPECT_TRUE(data.Get("PsLoadedModuleList").has_value());
  EXPECT_FALSE(data.Get("PsActiveProcessHead").has_value());
}

TEST(KdDebuggerData, ValuesOfARealBlock) {
  Bytes block = Block(0x360);
  const Bytes offsets = FromHex(
      "1802f00058002800b8008401000000"
      "00d806e803d0032800805dea2d0800f405f005585920012400"
      "7807");
  std::copy(offsets.begin(), offsets.end(), block.begin() + 0x298);
  const DebuggerData data = DebuggerData::Parse(block).value();
  EXPECT_EQ(data.Get("OffsetKThreadNextProcessor"), 0x218u);
  EXPECT_EQ(data.Get("OffsetEprocessPeb"), 0x3E8u);
  EXPECT_EQ(data.Get("OffsetEprocessDirectoryTableBase"), 0x28u);
  EXPECT_EQ(data.Get("SizePrcb"), 0x5D80u);
  EXPECT_EQ(data.Get("SizeEThread"), 0x778u);
}

TEST(KdDebuggerData, FieldsAreOrderedAndDoNotOverlap) {
  std::size_t end = kDebuggerDataHeader;
  for (const DebuggerDataField& field : DebuggerDataFields()) {
    EXPECT_GE(field.offset, end) << field.name;
    EXPECT_EQ(field.offset % field.size, 0) << field.name;
    end = field.offset + field.size;
  }
  EXPECT_LE(end, 0x3A0u);
}

TEST(KdDebuggerData, WrongTagAndAbsurdSize) {
  Bytes block = Block(0x340);
  block[0x10] ^= std::byte{1};
  EXPECT_EQ(DebuggerData::Parse(block).error().code, Errc::kMalformed);
  block = Block(0x340);
  Store(std::span<std::byte>(block), 0x14, std::uint32_t{0xFFFFFFFF});
  EXPECT_EQ(DebuggerData::Parse(block).error().code, Errc::kMalformed);
  EXPECT_EQ(DebuggerData::Parse(Bytes(0x17)).error().code, Errc::kMalformed);
}

TEST(KdHost, H56_EncodedBlock) {
  const DebuggerDataKeys keys{0x3C5A112233445566, 0x99AABBCCDDEEFF01, 0xFFFFF8026BEF0123};
  const Bytes plain = Block(0x360);
  Bytes encoded = plain;
  for (std::size_t i = 0; i < plain.size(); i += 8) {
    // The inverse of 5.2: plain ^ always, swapped, ^ address, rotated right, ^ never.
    std::uint64_t word = __builtin_bswap64(Load64(plain, i) ^ keys.wait_always) ^ keys.encoded_flag_address;
    word = std::rotr(word, static_cast<int>(keys.wait_never & 0x3F)) ^ keys.wait_never;
    Store(std::span<std::byte>(encoded), i, word);
  }
  EXPECT_FALSE(DebuggerData::Parse(encoded).has_value());
  EXPECT_EQ(DecodeDebuggerData(encoded, keys), plain);
  EXPECT_EQ(DebuggerData::ReadSize(DecodeDebuggerData(ByteView(encoded).first(24), keys)).value(), 0x360u);
}

TEST(KdStateChange, LongerAndShorterPackets) {
  Bytes payload = PayloadOf(kE05);
  payload.resize(payload.size() + 4);
  EXPECT_TRUE(DecodeStateChange(payload).has_value());
  payload.resize(239);
  EXPECT_EQ(DecodeStateChange(payload).error().code, Errc::kMalformed);
}

TEST(KdStateChange, HostileLengthsAreClipped) {
  Bytes payload = PayloadOf(kE17);
  Store(std::span<std::byte>(payload), 0x20, std::uint32_t{0xFFFFFFFF});
  EXPECT_EQ(std::get<LoadSymbolsReport>(DecodeStateChange(payload).value().report).path, "foo.sys");
  payload = PayloadOf(kE05);
  Store(std::span<std::byte>(payload), 0x38, std::uint32_t{0xFFFFFFFF});
  EXPECT_EQ(std::get<ExceptionReport>(DecodeStateChange(payload).value().report).parameter_count, 15u);
  Store(std::span<std::byte>(payload), 0xD4, std::uint16_t{0xFFFF});
  EXPECT_EQ(DecodeControlReport(Machine::kAmd64, DecodeStateChange(payload).value()).instruction_count, 16);
  EXPECT_FALSE(DecodeControlReport(Machine::kArm64, DecodeStateChange(payload).value()).valid);
}

TEST(KdStateChange, ControlReportOfX86) {
  Bytes payload = PayloadOf(kE05);
  const std::span<std::byte> out(payload);
  Store(out, 0xC0, std::uint32_t{0xFFFF0FF0});
  Store(out, 0xC4, std::uint32_t{0x401});
  Store(out, 0xC8, std::uint16_t{16});
  Store(out, 0xCA, std::uint16_t{3});
  Store(out, 0xCC, std::uint8_t{0xCC});
  Store(out, 0xDC, std::uint16_t{8});
  Store(out, 0xE4, std::uint32_t{0x246});
  const ControlReport report = DecodeControlReport(Machine::kX86, DecodeStateChange(payload).value());
  EXPECT_EQ(report.dr7, 0x401u);
  EXPECT_EQ(report.instruction_count, 16);
  EXPECT_EQ(report.instructions[0], std::byte{0xCC});
  EXPECT_EQ(report.cs, 8);
  EXPECT_EQ(report.eflags, 0x246u);
}

TEST(KdStateChange, CommandString) {
  Bytes payload(kStateChangeSize);
  Store(std::span<std::byte>(payload), 0, std::uint32_t{0x3032});
  for (char c : std::string("name\0.echo hi\0", 14)) payload.push_back(static_cast<std::byte>(c));
  const StateChange change = DecodeStateChange(payload).value();
  EXPECT_EQ(std::get<CommandStringReport>(change.report).name, "name");
  EXPECT_EQ(std::get<CommandStringReport>(change.report).command, ".echo hi");
  Store(std::span<std::byte>(payload), 0, std::uint32_t{0x3033});
  EXPECT_EQ(DecodeStateChange(payload).error().code, Errc::kUnsupported);
}

TEST(KdDebugIo, LengthIsClipped) {
  Bytes payload = PayloadOf(kE14);
  Store(std::span<std::byte>(payload), 8, std::uint32_t{0xFFFFFFFF});
  EXPECT_EQ(DecodeDebugIo(payload).value().text, "Hi!\n");
  EXPECT_EQ(DecodeDebugIo(ByteView(payload).first(15)).error().code, Errc::kMalformed);
  Store(std::span<std::byte>(payload), 0, std::uint32_t{0x3232});
  EXPECT_EQ(DecodeDebugIo(payload).error().code, Errc::kUnsupported);
}

TEST(KdControlRequest, Answer) {
  const auto request = DecodeControlRequest(FromHex("004300000200000000000000"));
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(EncodeControlAnswer(*request, true), FromHex("004300000200000001000000"));
  EXPECT_FALSE(DecodeControlRequest(FromHex("0443000002000000")).has_value());
}

TEST(KdTraceIo, DataIsClipped) {
  Bytes payload(0x40 + 5);
  Store(std::span<std::byte>(payload), 0, std::uint32_t{0x3330});
  Store(std::span<std::byte>(payload), 8, std::uint32_t{1000});
  EXPECT_EQ(DecodeTraceIo(payload).value().data.size(), 5u);
  EXPECT_FALSE(DecodeTraceIo(ByteView(payload).first(0x3F)).has_value());
}

}  // namespace
}  // namespace longwire::kd::testing
