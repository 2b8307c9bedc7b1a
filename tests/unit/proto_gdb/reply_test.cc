#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/gdb/stop_reply.h"
#include "proto/gdb/target_description.h"

namespace longwire::gdb {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ThreadId, IsTheSameHoweverItIsWritten) {
  EXPECT_TRUE(IsSameThread("p1.2", "p01.02"));
  EXPECT_TRUE(IsSameThread("0a", "A"));
  EXPECT_TRUE(IsSameThread("2", "p7.2"));
  EXPECT_FALSE(IsSameThread("p1.2", "p2.2"));
  EXPECT_FALSE(IsSameThread("2", "3"));
  EXPECT_FALSE(IsSameThread("", ""));
  EXPECT_FALSE(IsSameThread("p2", "2"));
}

TEST(StopReply, TellsSignalThreadAndWatch) {
  const auto plain = DecodeStopReply("T05thread:p01.02;");
  ASSERT_TRUE(plain) << plain.error().message;
  EXPECT_EQ(plain->signal, kSignalTrap);
  EXPECT_EQ(plain->thread, "p01.02");
  const auto watch = DecodeStopReply("T05thread:01;awatch:fffff80000123450;");
  ASSERT_TRUE(watch);
  EXPECT_EQ(watch->watch, StopReply::Watch::kAccess);
  EXPECT_EQ(watch->watch_address, 0xfffff80000123450u);
  EXPECT_EQ(DecodeStopReply("S02")->signal, kSignalInterrupt);
  EXPECT_EQ(DecodeStopReply("T0506:0*,;20:10;thread:1;")->thread, "1");
  EXPECT_EQ(DecodeStopReply("W00")->kind, StopReply::Kind::kExited);
  EXPECT_EQ(DecodeStopReply("O6869")->output, "hi");
}

TEST(StopReply, RefusesWhatIsNone) {
  for (const char* text :
       {"", "OK", "E01", "T", "T0", "Txx", "T05thread:;", "T05thread:x;", "T05watch:;", "O6"}) {
    EXPECT_FALSE(DecodeStopReply(text)) << text;
  }
}

TEST(Threads, AreListed) {
  EXPECT_THAT(*DecodeThreads("mp01.01,p01.02"), ElementsAre("p01.01", "p01.02"));
  EXPECT_THAT(*DecodeThreads("m1"), ElementsAre("1"));
  EXPECT_THAT(*DecodeThreads("l"), IsEmpty());
  EXPECT_FALSE(DecodeThreads(""));
  EXPECT_FALSE(DecodeThreads("m1,,2"));
  EXPECT_FALSE(DecodeThreads("mp1"));
}

TEST(Features, AreSplit) {
  const auto features = DecodeFeatures("PacketSize=1000;qXfer:features:read+;multiprocess-;vContSupported?");
  ASSERT_EQ(features.size(), 4u);
  EXPECT_EQ(features[0].value, "1000");
  EXPECT_TRUE(features[1].supported);
  EXPECT_EQ(features[1].name, "qXfer:features:read");
  EXPECT_FALSE(features[2].supported);
  EXPECT_EQ(features[3].name, "vContSupported");
}

TEST(TargetDescription, NumbersRegistersAcrossIncludes) {
  const TargetDescription::Documents documents{
      {"target.xml",
       "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target><architecture>i386:x86-64"
       "</architecture><xi:include href=\"core.xml\"/><xi:include href='more.xml'/></target>"},
      {"core.xml",
       "<feature name=\"core\"><!-- <reg name=\"no\" bitsize=\"8\"/> --><flags id=\"f\" size=\"4\"><field "
       "name=\"\" start=\"22\" end=\"31\"/></flags><reg name=\"rax\" bitsize=\"64\" type=\"int64\" "
       "regnum=\"0\"/>\n<reg bitsize=\"32\" name=\"eflags\"/></feature>"},
      {"more.xml", "<feature><reg name=\"st0\" bitsize=\"80\"/><reg name=\"cr3\" bitsize=\"64\"/></feature>"},
  };
  EXPECT_THAT(TargetDescription::Includes(documents.at("target.xml")), ElementsAre("core.xml", "more.xml"));
  const auto description = TargetDescription::Parse(documents);
  ASSERT_TRUE(description) << description.error().message;
  EXPECT_EQ(description->architecture(), "i386:x86-64");
  ASSERT_EQ(description->registers().size(), 4u);
  const Register* cr3 = description->Find("cr3");
  ASSERT_NE(cr3, nullptr);
  EXPECT_EQ(cr3->number, 3u);
  EXPECT_EQ(cr3->offset, 22u);
  EXPECT_EQ(description->Find("no"), nullptr);
}

TEST(TargetDescription, RefusesNonsense) {
  const auto parse = [](std::string text) { return TargetDescription::Parse({{"target.xml", text}}); };
  EXPECT_FALSE(TargetDescription::Parse({}));
  EXPECT_FALSE(parse("<reg name=\"a\"/>"));
  EXPECT_FALSE(parse("<reg name=\"a\" bitsize=\"0\"/>"));
  EXPECT_FALSE(parse("<reg name=\"a\" bitsize=\"9\" regnum=\"-1\"/>"));
  EXPECT_FALSE(
      parse("<reg name=\"a\" bitsize=\"8\" regnum=\"1\"/><reg name=\"b\" bitsize=\"8\" regnum=\"1\"/>"));
  EXPECT_FALSE(parse("<xi:include href=\"other.xml\"/>"));
  const auto loop = parse("<xi:include href=\"target.xml\"/>");
  ASSERT_FALSE(loop);
  EXPECT_EQ(loop.error().code, Errc::kLimitExceeded);
  EXPECT_TRUE(parse("<reg name=\"a\" bitsize=\"8\"")) << "a tag without an end is no tag";
}

}  // namespace
}  // namespace longwire::gdb
