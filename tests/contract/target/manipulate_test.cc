// Cases T19-T36 of kd-protocol.md 10.3: requests to a stopped machine.
#include "tests/contract/target/machine_fixture.h"

namespace longwire::test {
namespace {

class TargetManipulate : public MachineTest {
 protected:
  KdReply SetBreakpoint(uint64_t address) {
    Bytes request = KdProbe::Request(0x3134);
    Store64(&request, 0x10, address);
    return kd_->Exchange(request);
  }
  uint32_t ClearBreakpoint(uint32_t handle) {
    Bytes request = KdProbe::Request(0x3135);
    Store32(&request, 0x10, handle);
    return kd_->Exchange(request).status;
  }
  KdReply Port(uint32_t size, uint64_t port) {
    Bytes request = KdProbe::Request(0x3139);
    Store64(&request, 0x10, port);
    Store32(&request, 0x18, size);
    return kd_->Exchange(request);
  }
  KdReply Msr(uint32_t number) {
    Bytes request = KdProbe::Request(0x3152);
    Store32(&request, 0x10, number);
    return kd_->Exchange(request);
  }
  uint64_t DebuggerField(uint64_t offset) {
    return kd_->ReadPointer(kd_->ReadPointer(Load64(kd_->Exchange(0x3146).head, 0x30)) + offset);
  }
  // The second page of the paged pool is in the page file.
  uint64_t PageBeforeHole() { return kd_->ReadPointer(DebuggerField(0x120)); }
};
INSTANTIATE_TEST_SUITE_P(Variants, TargetManipulate, ::testing::Values('a', 'b'), VariantName);

TEST_P(TargetManipulate, T19VersionReply) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const KdReply reply = kd_->Exchange(0x3146);
  ASSERT_EQ(reply.head.size(), 56u);
  EXPECT_TRUE(reply.data.empty());
  EXPECT_EQ(Load16(reply.head, 0x10), 0x0F);
  EXPECT_EQ(reply.head[0x14], 6);
  EXPECT_EQ(reply.head[0x15], 2);
  EXPECT_EQ(Load16(reply.head, 0x16), 7);
  EXPECT_EQ(Load16(reply.head, 0x18), 0x8664);
  EXPECT_EQ(Load16(kd_->ReadAll(Load64(reply.head, 0x20), 2), 0), 0x5A4D);
}

TEST_P(TargetManipulate, T20ReadStopsAtTheFirstUnmappedByte) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const KdReply reply = kd_->Read(PageBeforeHole() + 0xFF8, 16);
  EXPECT_EQ(reply.status, kUnsuccessful);
  EXPECT_EQ(Load32(reply.head, 0x1C), 8u);
  EXPECT_EQ(reply.data.size(), 8u);
}

TEST_P(TargetManipulate, T21ClipsALargeRead) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const KdReply reply = kd_->Read(Load64(kd_->Exchange(0x3146).head, 0x20), 5000);
  EXPECT_EQ(reply.status, 0u);
  EXPECT_EQ(Load32(reply.head, 0x1C), 3944u);
  EXPECT_EQ(reply.data.size(), 3944u);
}

TEST_P(TargetManipulate, T22WritesAndRefusesUnmappedMemory) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const uint64_t page = PageBeforeHole();
  const Bytes text = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  EXPECT_EQ(kd_->Write(page + 0x100, text).status, 0u);
  EXPECT_EQ(kd_->ReadAll(page + 0x100, 9), text);
  const KdReply refused = kd_->Write(page + 0x1000, text);
  EXPECT_EQ(refused.status, kUnsuccessful);
  EXPECT_EQ(Load32(refused.head, 0x1C), 0u);
}

TEST_P(TargetManipulate, T23BreakpointTableHolds32) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const uint64_t base = PageBeforeHole() + 0x200;
  for (uint32_t i = 0; i < 32; ++i) {
    const KdReply reply = SetBreakpoint(base + i);
    EXPECT_EQ(reply.status, 0u);
    EXPECT_EQ(Load32(reply.head, 0x18), i + 1);
  }
  EXPECT_EQ(SetBreakpoint(base).status, kUnsuccessful);
  const KdReply full = SetBreakpoint(base + 100);
  EXPECT_EQ(full.status, kUnsuccessful);
  EXPECT_EQ(Load32(full.head, 0x18), 0u);
  EXPECT_EQ(kd_->ReadAll(base, 32), Bytes(32, 0xCC));
  for (uint32_t i = 1; i <= 32; ++i) EXPECT_EQ(ClearBreakpoint(i), 0u);
  EXPECT_EQ(kd_->ReadAll(base, 32), Bytes(32, 0));
}

TEST_P(TargetManipulate, T24RestoringUnusedHandlesFails) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  EXPECT_EQ(ClearBreakpoint(0), kUnsuccessful);
  EXPECT_EQ(ClearBreakpoint(33), kUnsuccessful);
  for (uint32_t i = 1; i <= 32; ++i) EXPECT_EQ(ClearBreakpoint(i), kUnsuccessful);
  EXPECT_EQ(kd_->Exchange(0x3146).status, 0u);
}

TEST_P(TargetManipulate, T25ReportDropsBreakpointsInItsStream) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const uint64_t leaf = kd_->FindExport("DemoLeaf");
  const Bytes clean = kd_->ReadAll(leaf, 16);
  const uint32_t first = Load32(SetBreakpoint(leaf).head, 0x18),
                 second = Load32(SetBreakpoint(leaf + 15).head, 0x18);
  const uint32_t far = Load32(SetBreakpoint(leaf + 16).head, 0x18);
  ASSERT_TRUE(kd_->ContinueOverBreak());
  auto stop = kd_->WaitForStop();
  ASSERT_TRUE(stop);
  EXPECT_EQ(Pc(*stop), leaf);
  EXPECT_EQ(Load16(*stop, 0xD4), 16);
  EXPECT_EQ(Bytes(stop->begin() + 0xD8, stop->begin() + 0xE8), clean);
  EXPECT_EQ(kd_->ReadAll(leaf, 16), clean);
  EXPECT_EQ(ClearBreakpoint(first), kUnsuccessful);
  EXPECT_EQ(ClearBreakpoint(second), kUnsuccessful);
  EXPECT_EQ(ClearBreakpoint(far), 0u);
}

TEST_P(TargetManipulate, T26SetContextNeedsAGetContext) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  EXPECT_EQ(kd_->SetContext(Bytes(0x4D0, 0)).status, kUnsuccessful);
  Bytes context = kd_->GetContext();
  ASSERT_EQ(context.size(), 0x4D0u);
  Store64(&context, 0x78, 0x1122334455667788);
  EXPECT_EQ(kd_->SetContext(context).status, 0u);
  EXPECT_EQ(Load64(kd_->GetContext(), 0x78), 0x1122334455667788u);
}

TEST_P(TargetManipulate, T27SetContextExInTwoChunks) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  Bytes context = kd_->GetContext();
  Store64(&context, 0x78, 0xAAAA);   // first chunk
  Store64(&context, 0x1A0, 0xBBBB);  // second chunk
  const size_t half = 0x100;
  for (size_t at : {size_t{0}, half}) {
    const size_t size = at == 0 ? half : context.size() - half;
    Bytes request = KdProbe::Request(0x3160);
    Store32(&request, 0x10, static_cast<uint32_t>(at));
    Store32(&request, 0x14, static_cast<uint32_t>(size));
    Store32(&request, 0x18, static_cast<uint32_t>(context.size()));
    request.insert(request.end(), context.begin() + static_cast<ptrdiff_t>(at),
                   context.begin() + static_cast<ptrdiff_t>(at + size));
    EXPECT_EQ(kd_->Exchange(request).status, 0u);
  }
  EXPECT_EQ(kd_->GetContext(), context);
  Bytes beyond = KdProbe::Request(0x315F);
  Store32(&beyond, 0x10, 0x400);
  Store32(&beyond, 0x14, 0x100);
  EXPECT_EQ(kd_->Exchange(beyond).status, kUnsuccessful);
}

TEST_P(TargetManipulate, T28ControlSpaceSizes) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const size_t sizes[] = {8, 8, 0xE0, 8};
  for (uint16_t processor = 0; processor < 2; ++processor) {
    for (uint64_t selector = 0; selector < 4; ++selector) {
      const KdReply reply = kd_->ControlSpace(selector, 0x1000, processor);
      EXPECT_EQ(reply.status, 0u);
      EXPECT_EQ(reply.data.size(), sizes[selector]);
    }
  }
  EXPECT_EQ(kd_->ControlSpace(4, 8).status, kUnsuccessful);
  const uint64_t pcr = Load64(kd_->ControlSpace(0, 8).data, 0);
  EXPECT_EQ(kd_->ReadPointer(pcr + 0x18), pcr);
  EXPECT_EQ(kd_->ReadPointer(pcr + 0x20), Load64(kd_->ControlSpace(1, 8).data, 0));
  EXPECT_EQ(Load64(kd_->ControlSpace(3, 8).data, 0), Load64(stop_, 0x10));
}

TEST_P(TargetManipulate, T29ControlSpaceOfAMissingProcessor) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const KdReply reply = kd_->ControlSpace(0, 8, static_cast<uint16_t>(Load32(stop_, 8)));
  EXPECT_EQ(reply.status, kUnsuccessful);
  EXPECT_EQ(Load32(reply.head, 0x1C), 0u);
}

TEST_P(TargetManipulate, T30ModelSpecificRegisters) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  EXPECT_EQ(Msr(0x10).status, 0u);
  const KdReply efer = Msr(0xC0000080);
  EXPECT_EQ(Load32(efer.head, 0x14) & 0x501, 0x501u);
  EXPECT_EQ(Msr(0xFFFFFFFF).status, 0xC000000Eu);
}

TEST_P(TargetManipulate, T31PortsCheckSizeAndAlignment) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  EXPECT_EQ(Port(3, 0x3F8).status, 0xC000000Du);
  EXPECT_EQ(Port(4, 0x3F9).status, 0x80000002u);
  const KdReply line_status = Port(1, 0x3FD);
  EXPECT_EQ(line_status.status, 0u);
  EXPECT_EQ(Load32(line_status.head, 0x1C) & 0x20, 0x20u);
}

TEST_P(TargetManipulate, T32UnknownRequestsFail) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  for (uint32_t api : {0x31FFu, 0x3151u, 0x3154u, 0x315Eu}) {
    const KdReply reply = kd_->Exchange(api);
    EXPECT_EQ(reply.status, kUnsuccessful);
    EXPECT_EQ(reply.head.size(), 56u);
  }
  EXPECT_EQ(kd_->Exchange(0x3146).status, 0u);
}

TEST_P(TargetManipulate, T33SingleStep) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  Bytes context = kd_->GetContext();
  const uint64_t return_address = kd_->ReadPointer(Load64(context, kRspOffset));
  Store64(&context, kRipOffset, Load64(context, kRipOffset) + 1);
  ASSERT_EQ(kd_->SetContext(context).status, 0u);
  ASSERT_TRUE(kd_->Continue(kContinue, true));
  auto stop = kd_->WaitForStop();
  ASSERT_TRUE(stop);
  EXPECT_EQ(Code(*stop), 0x80000004u);
  EXPECT_EQ(Pc(*stop), return_address);
  EXPECT_EQ(Load64(*stop, 0xC0) & 0x4000, 0x4000u) << "Dr6";
  EXPECT_EQ(Load32(kd_->GetContext(), kEFlagsOffset) & 0x100, 0u);
}

// 5.6: the reporter comes back before the other processor steps.
TEST_P(TargetManipulate, T33SingleStepOfAnotherProcessor) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  ASSERT_TRUE(kd_->Send(kManipulate, KdProbe::Request(0x3150, 1)));
  const auto other = kd_->WaitForStop();
  ASSERT_TRUE(other);
  for (uint64_t before = Pc(*other), step = 0; step < 3; ++step) {
    ASSERT_TRUE(kd_->Continue(kContinue, true));
    if (step == 0) {
      const auto again = kd_->WaitForStop();
      ASSERT_TRUE(again);
      EXPECT_EQ(Load16(*again, 6), 0);
      EXPECT_EQ(Code(*again), Code(stop_));
      EXPECT_EQ(Pc(*again), Pc(stop_));
      Bytes context = kd_->GetContext();
      Store64(&context, kRipOffset, Pc(stop_) + 1);
      ASSERT_EQ(kd_->SetContext(context).status, 0u);
      ASSERT_TRUE(kd_->Continue());
    }
    const auto stop = kd_->WaitForStop();
    ASSERT_TRUE(stop);
    EXPECT_EQ(Load16(*stop, 6), 1);
    EXPECT_EQ(Code(*stop), 0x80000004u);
    EXPECT_EQ(Load64(*stop, 0xC0) & 0x4000, 0x4000u) << "Dr6";
    EXPECT_NE(Pc(*stop), before);
    EXPECT_EQ(Load32(kd_->GetContext(1), kEFlagsOffset) & 0x100, 0u);
    before = Pc(*stop);
  }
  ASSERT_TRUE(kd_->Continue());
  EXPECT_TRUE(kd_->Silent(milliseconds(100)));
  const auto stop = kd_->BreakIn();
  ASSERT_TRUE(stop);
  EXPECT_EQ(Load16(*stop, 6), 0) << "the first processor runs on";
}

TEST_P(TargetManipulate, T34UnhandledExceptionComesASecondTime) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  ASSERT_NO_FATAL_FAILURE(RunCommand(kBreak));
  auto first = kd_->WaitForStop();
  ASSERT_TRUE(first);
  EXPECT_EQ(Code(*first), 0x80000003u);
  EXPECT_EQ(Load32(*first, 0xB8), 1u);
  ASSERT_TRUE(kd_->Continue(kNotHandled));
  auto second = kd_->WaitForStop();
  ASSERT_TRUE(second);
  EXPECT_EQ(Code(*second), 0x80000003u);
  EXPECT_EQ(Load32(*second, 0xB8), 0u);
  ASSERT_TRUE(kd_->ContinueOverBreak());
  EXPECT_TRUE(kd_->Silent(milliseconds(100)));
}

TEST_P(TargetManipulate, T35ClearAllInternalBreakpointsHasNoReply) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  ASSERT_TRUE(kd_->Send(kManipulate, KdProbe::Request(0x315A)));
  EXPECT_TRUE(kd_->Silent(milliseconds(300)));
  EXPECT_EQ(kd_->Exchange(0x3146).status, 0u);
}

TEST_P(TargetManipulate, T36SwitchProcessor) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  EXPECT_EQ(kd_->Exchange(KdProbe::Request(0x3150, 2)).status, kUnsuccessful);
  ASSERT_TRUE(kd_->Send(kManipulate, KdProbe::Request(0x3150, 1)));
  auto stop = kd_->WaitForStop();
  ASSERT_TRUE(stop);
  EXPECT_EQ(Code(*stop), 0x80000007u);
  EXPECT_EQ(Load16(*stop, 6), 1);
  EXPECT_EQ(Pc(*stop), Load64(kd_->GetContext(1), kRipOffset));
  EXPECT_EQ(Load64(*stop, 0x10), Load64(kd_->ControlSpace(3, 8, 1).data, 0));
  EXPECT_NE(Pc(*stop), Pc(stop_));
  ASSERT_TRUE(kd_->Send(kManipulate, KdProbe::Request(0x3150, 0)));
  auto back = kd_->WaitForStop();
  ASSERT_TRUE(back);
  EXPECT_EQ(Pc(*back), Pc(stop_));
}

TEST_P(TargetManipulate, DataBreakpointStopsAfterTheWrite) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const uint64_t ticks = kd_->FindExport("g_Ticks");
  const uint64_t before = kd_->ReadPointer(ticks);
  Bytes special = kd_->ControlSpace(2, 0xE0).data;
  ASSERT_EQ(special.size(), 0xE0u);
  const uint64_t dr7 = 0x400 | 1 | 0x90000;  // eight bytes at Dr0, on write
  Store64(&special, 0x20, ticks);
  Store64(&special, 0x48, dr7);
  Bytes request = KdProbe::Request(0x3138);
  Store64(&request, 0x10, 2);
  Store32(&request, 0x18, 0xE0);
  request.insert(request.end(), special.begin(), special.end());
  ASSERT_EQ(kd_->Exchange(request).status, 0u);
  Bytes context = kd_->GetContext();
  Store64(&context, kRipOffset, Load64(context, kRipOffset) + 1);
  ASSERT_EQ(kd_->SetContext(context).status, 0u);
  ASSERT_TRUE(kd_->Continue(kHandled, false, dr7));
  auto stop = kd_->WaitForStop();
  ASSERT_TRUE(stop);
  EXPECT_EQ(Code(*stop), 0x80000004u);
  EXPECT_EQ(Load64(*stop, 0xC0) & 0xF, 1u);
  EXPECT_EQ(Load64(*stop, 0xC8), dr7);
  EXPECT_EQ(kd_->ReadPointer(ticks), before + 1);
}

TEST_P(TargetManipulate, PhysicalMemoryThroughThePageTables) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const uint64_t address = PageBeforeHole();
  uint64_t table = Load64(kd_->ControlSpace(2, 0xE0).data, 0x10);
  uint64_t entry = 0;
  for (int shift = 39; shift >= 12; shift -= 9) {
    entry = Load64(kd_->Read(table + ((address >> shift) & 511) * 8, 8, 0x313D).data, 0);
    ASSERT_TRUE(entry & 1);
    table = entry & 0x000FFFFFFFFFF000;
  }
  EXPECT_EQ(kd_->Read(table, 64, 0x313D).data, kd_->ReadAll(address, 64));
  const uint64_t leaf_table = entry & 0x000FFFFFFFFFF000;
  ASSERT_EQ(kd_->Write(leaf_table + 0x300, {7, 8, 9}, 0x313E).status, 0u);
  EXPECT_EQ(kd_->ReadAll(address + 0x300, 3), (Bytes{7, 8, 9}));
}

TEST_P(TargetManipulate, SearchMemoryFindsAPatternOrSaysNotFound) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const uint64_t page = PageBeforeHole();
  ASSERT_EQ(kd_->Write(page + 0x400, {0xDE, 0xC0, 0xAD, 0x0B}).status, 0u);
  Bytes request = KdProbe::Request(0x3156);
  Store64(&request, 0x10, page);
  Store64(&request, 0x18, 0x1000);
  Store32(&request, 0x20, 4);
  for (uint8_t byte : {0xDE, 0xC0, 0xAD, 0x0B}) request.push_back(byte);
  const KdReply found = kd_->Exchange(request);
  EXPECT_EQ(found.status, 0u);
  EXPECT_EQ(Load64(found.head, 0x10), page + 0x400);
  request.back() = 0x77;
  EXPECT_EQ(kd_->Exchange(request).status, 0xC0000225u);
}

TEST_P(TargetManipulate, RebootRestartsTheStream) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  ASSERT_TRUE(kd_->Send(kManipulate, KdProbe::Request(0x313B)));
  auto stop = kd_->Receive();
  ASSERT_TRUE(stop && stop->is_data(kStateChange));
  EXPECT_EQ(stop->id, kFirstId | kSyncBit);
}

}  // namespace
}  // namespace longwire::test
