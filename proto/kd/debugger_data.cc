#include "proto/kd/debugger_data.h"

#include <algorithm>
#include <bit>
#include <string>

namespace longwire::kd {
namespace {

constexpr std::size_t kTagOffset = 0x10;
constexpr std::size_t kSizeOffset = 0x14;

constexpr DebuggerDataField kFields[] = {
    {"KernBase", 0x18, 8},
    {"BreakpointWithStatus", 0x20, 8},
    {"SavedContext", 0x28, 8},
    {"ThCallbackStack", 0x30, 2},
    {"NextCallback", 0x32, 2},
    {"FramePointer", 0x34, 2},
    {"PaeEnabled", 0x36, 2},
    {"KiCallUserMode", 0x38, 8},
    {"KeUserCallbackDispatcher", 0x40, 8},
    {"PsLoadedModuleList", 0x48, 8},
    {"PsActiveProcessHead", 0x50, 8},
    {"PspCidTable", 0x58, 8},
    {"ExpSystemResourcesList", 0x60, 8},
    {"ExpPagedPoolDescriptor", 0x68, 8},
    {"ExpNumberOfPagedPools", 0x70, 8},
    {"KeTimeIncrement", 0x78, 8},
    {"KeBugCheckCallbackListHead", 0x80, 8},
    {"KiBugcheckData", 0x88, 8},
    {"IopErrorLogListHead", 0x90, 8},
    {"ObpRootDirectoryObject", 0x98, 8},
    {"ObpTypeObjectType", 0xA0, 8},
    {"MmSystemCacheStart", 0xA8, 8},
    {"MmSystemCacheEnd", 0xB0, 8},
    {"MmSystemCacheWs", 0xB8, 8},
    {"MmPfnDatabase", 0xC0, 8},
    {"MmSystemPtesStart", 0xC8, 8},
    {"MmSystemPtesEnd", 0xD0, 8},
    {"MmSubsectionBase", 0xD8, 8},
    {"MmNumberOfPagingFiles", 0xE0, 8},
    {"MmLowestPhysicalPage", 0xE8, 8},
    {"MmHighestPhysicalPage", 0xF0, 8},
    {"MmNumberOfPhysicalPages", 0xF8, 8},
    {"MmMaximumNonPagedPoolInBytes", 0x100, 8},
    {"MmNonPagedSystemStart", 0x108, 8},
    {"MmNonPagedPoolStart", 0x110, 8},
    {"MmNonPagedPoolEnd", 0x118, 8},
    {"MmPagedPoolStart", 0x120, 8},
    {"MmPagedPoolEnd", 0x128, 8},
    {"MmPagedPoolInformation", 0x130, 8},
    {"MmPageSize", 0x138, 8},
    {"MmSizeOfPagedPoolInBytes", 0x140, 8},
    {"MmTotalCommitLimit", 0x148, 8},
    {"MmTotalCommittedPages", 0x150, 8},
    {"MmSharedCommit", 0x158, 8},
    {"MmDriverCommit", 0x160, 8},
    {"MmProcessCommit", 0x168, 8},
    {"MmPagedPoolCommit", 0x170, 8},
    {"MmExtendedCommit", 0x178, 8},
    {"MmZeroedPageListHead", 0x180, 8},
    {"MmFreePageListHead", 0x188, 8},
    {"MmStandbyPageListHead", 0x190, 8},
    {"MmModifiedPageListHead", 0x198, 8},
    {"MmModifiedNoWritePageListHead", 0x1A0, 8},
    {"MmAvailablePages", 0x1A8, 8},
    {"MmResidentAvailablePages", 0x1B0, 8},
    {"PoolTrackTable", 0x1B8, 8},
    {"NonPagedPoolDescriptor", 0x1C0, 8},
    {"MmHighestUserAddress", 0x1C8, 8},
    {"MmSystemRangeStart", 0x1D0, 8},
    {"MmUserProbeAddress", 0x1D8, 8},
    {"KdPrintCircularBuffer", 0x1E0, 8},
    {"KdPrintCircularBufferEnd", 0x1E8, 8},
    {"KdPrintWritePointer", 0x1F0, 8},
    {"KdPrintRolloverCount", 0x1F8, 8},
    {"MmLoadedUserImageList", 0x200, 8},
    {"NtBuildLab", 0x208, 8},
    {"KiNormalSystemCall", 0x210, 8},
    {"KiProcessorBlock", 0x218, 8},
    {"MmUnloadedDrivers", 0x220, 8},
    {"MmLastUnloadedDriver", 0x228, 8},
    {"MmTriageActionTaken", 0x230, 8},
    {"MmSpecialPoolTag", 0x238, 8},
    {"KernelVerifier", 0x240, 8},
    {"MmVerifierData", 0x248, 8},
    {"MmAllocatedNonPagedPool", 0x250, 8},
    {"MmPeakCommitment", 0x258, 8},
    {"MmTotalCommitLimitMaximum", 0x260, 8},
    {"CmNtCSDVersion", 0x268, 8},
    {"MmPhysicalMemoryBlock", 0x270, 8},
    {"MmSessionBase", 0x278, 8},
    {"MmSessionSize", 0x280, 8},
    {"MmSystemParentTablePage", 0x288, 8},
    {"MmVirtualTranslationBase", 0x290, 8},
    {"OffsetKThreadNextProcessor", 0x298, 2},
    {"OffsetKThreadTeb", 0x29A, 2},
    {"OffsetKThreadKernelStack", 0x29C, 2},
    {"OffsetKThreadInitialStack", 0x29E, 2},
    {"OffsetKThreadApcProcess", 0x2A0, 2},
    {"OffsetKThreadState", 0x2A2, 2},
    {"OffsetKThreadBStore", 0x2A4, 2},
    {"OffsetKThreadBStoreLimit", 0x2A6, 2},
    {"SizeEProcess", 0x2A8, 2},
    {"OffsetEprocessPeb", 0x2AA, 2},
    {"OffsetEprocessParentCID", 0x2AC, 2},
    {"OffsetEprocessDirectoryTableBase", 0x2AE, 2},
    {"SizePrcb", 0x2B0, 2},
    {"OffsetPrcbDpcRoutine", 0x2B2, 2},
    {"OffsetPrcbCurrentThread", 0x2B4, 2},
    {"OffsetPrcbMhz", 0x2B6, 2},
    {"OffsetPrcbCpuType", 0x2B8, 2},
    {"OffsetPrcbVendorString", 0x2BA, 2},
    {"OffsetPrcbProcStateContext", 0x2BC, 2},
    {"OffsetPrcbNumber", 0x2BE, 2},
    {"SizeEThread", 0x2C0, 2},
    {"KdPrintCircularBufferPtr", 0x2C8, 8},
    {"KdPrintBufferSize", 0x2D0, 8},
    {"KeLoaderBlock", 0x2D8, 8},
    {"SizePcr", 0x2E0, 2},
    {"OffsetPcrSelfPcr", 0x2E2, 2},
    {"OffsetPcrCurrentPrcb", 0x2E4, 2},
    {"OffsetPcrContainedPrcb", 0x2E6, 2},
    {"OffsetPcrInitialBStore", 0x2E8, 2},
    {"OffsetPcrBStoreLimit", 0x2EA, 2},
    {"OffsetPcrInitialStack", 0x2EC, 2},
    {"OffsetPcrStackLimit", 0x2EE, 2},
    {"OffsetPrcbPcrPage", 0x2F0, 2},
    {"OffsetPrcbProcStateSpecialReg", 0x2F2, 2},
    {"GdtR0Code", 0x2F4, 2},
    {"GdtR0Data", 0x2F6, 2},
    {"GdtR0Pcr", 0x2F8, 2},
    {"GdtR3Code", 0x2FA, 2},
    {"GdtR3Data", 0x2FC, 2},
    {"GdtR3Teb", 0x2FE, 2},
    {"GdtLdt", 0x300, 2},
    {"GdtTss", 0x302, 2},
    {"Gdt64R3CmCode", 0x304, 2},
    {"Gdt64R3CmTeb", 0x306, 2},
    {"IopNumTriageDumpDataBlocks", 0x308, 8},
    {"IopTriageDumpDataBlocks", 0x310, 8},
    {"VfCrashDataBlock", 0x318, 8},
    {"MmBadPagesDetected", 0x320, 8},
    {"MmZeroedPageSingleBitErrorsDetected", 0x328, 8},
    {"EtwpDebuggerData", 0x330, 8},
    {"OffsetPrcbContext", 0x338, 2},
    {"OffsetPrcbMaxBreakpoints", 0x33A, 2},
    {"OffsetPrcbMaxWatchpoints", 0x33C, 2},
    {"OffsetKThreadStackLimit", 0x340, 4},
    {"OffsetKThreadStackBase", 0x344, 4},
    {"OffsetKThreadQueueListEntry", 0x348, 4},
    {"OffsetEThreadIrpList", 0x34C, 4},
    {"OffsetPrcbIdleThread", 0x350, 2},
    {"OffsetPrcbNormalDpcState", 0x352, 2},
    {"OffsetPrcbDpcStack", 0x354, 2},
    {"OffsetPrcbIsrStack", 0x356, 2},
    {"SizeKDPC_STACK_FRAME", 0x358, 2},
    {"OffsetKPriQueueThreadListHead", 0x35A, 2},
    {"OffsetKThreadWaitReason", 0x35C, 2},
    {"PteBase", 0x360, 8},
    {"RetpolineStubFunctionTable", 0x368, 8},
    {"RetpolineStubFunctionTableSize", 0x370, 4},
    {"RetpolineStubOffset", 0x374, 4},
    {"RetpolineStubSize", 0x378, 4},
    {"OffsetEProcessMmHotPatchContext", 0x37C, 2},
    {"OffsetKThreadShadowStackLimit", 0x380, 4},
    {"OffsetKThreadShadowStackBase", 0x384, 4},
    {"ShadowStackEnabled", 0x388, 8},
    {"PointerAuthMask", 0x390, 8},
    {"OffsetPrcbExceptionStack", 0x398, 2},
};

}  // namespace

std::span<const DebuggerDataField> DebuggerDataFields() { return kFields; }

const DebuggerDataField* FindDebuggerDataField(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kFields), std::end(kFields), [&](const auto& f) { return f.name == name; });
  return found == std::end(kFields) ? nullptr : found;
}

Result<std::uint32_t> DebuggerData::ReadSize(ByteView header) {
  if (header.size() < kDebuggerDataHeader) {
    return Error{Errc::kMalformed, "the debugger data block is cut off before its size"};
  }
  if (Load32(header, kTagOffset) != kDebuggerDataTag) {
    return Error{Errc::kMalformed,
                 "the debugger data block has no KDBG tag; it is encoded or not at this address"};
  }
  const std::uint32_t size = Load32(header, kSizeOffset);
  if (size < kDebuggerDataHeader || size > kMaxDebuggerData) {
    return Error{Errc::kMalformed,
                 "the debugger data block claims an impossible size of " + std::to_string(size) + " bytes"};
  }
  return size;
}

Result<DebuggerData> DebuggerData::Parse(ByteView block) {
  const auto size = ReadSize(block);
  if (!size) return size.error();
  DebuggerData data;
  data.size_ = *size;
  const ByteView used = block.first(std::min<std::size_t>(block.size(), *size));
  data.bytes_.assign(used.begin(), used.end());
  return data;
}

std::optional<std::uint64_t> DebuggerData::Get(std::size_t offset, std::size_t bytes) const {
  if (offset > bytes_.size() || bytes > bytes_.size() - offset) return std::nullopt;
  switch (bytes) {
    case 1: return Load8(bytes_, offset);
    case 2: return Load16(bytes_, offset);
    case 4: return Load32(bytes_, offset);
    case 8: return Load64(bytes_, offset);
    default: return std::nullopt;
  }
}

std::optional<std::uint64_t> DebuggerData::Get(std::string_view name) const {
  const DebuggerDataField* field = FindDebuggerDataField(name);
  if (field == nullptr) return std::nullopt;
  return Get(*field);
}

std::optional<bool> DebuggerData::PaeEnabled() const {
  const auto word = Get(dd::kPaeEnabled, 2);
  if (!word) return std::nullopt;
  return (*word & 1) != 0;
}

std::uint64_t DecodeDebuggerDataWord(std::uint64_t encoded, const DebuggerDataKeys& keys) {
  std::uint64_t word = std::rotl(encoded ^ keys.wait_never, static_cast<int>(keys.wait_never & 0x3F));
  word ^= keys.encoded_flag_address;
  word = __builtin_bswap64(word);
  return word ^ keys.wait_always;
}

Bytes DecodeDebuggerData(ByteView encoded, const DebuggerDataKeys& keys) {
  Bytes plain(encoded.begin(), encoded.end());
  for (std::size_t i = 0; i + 8 <= plain.size(); i += 8) {
    Store(std::span<std::byte>(plain), i, DecodeDebuggerDataWord(Load64(encoded, i), keys));
  }
  return plain;
}

}  // namespace longwire::kd
