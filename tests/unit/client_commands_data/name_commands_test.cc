#include "tests/unit/client_commands_data/debugged_sample.h"

namespace longwire {
namespace {

using NameCommands = DebuggedSample;
using ::testing::HasSubstr;

TEST_F(NameCommands, FunctionsWithParametersAndDataWithTypes) {
  const std::string handle = FormatAddress(Symbol("inspected!Handle"));
  EXPECT_EQ(Run("x inspected!Handle"), handle + " inspected!Handle (struct _OWNER *, unsigned long)\n");
  EXPECT_EQ(Run("x inspected!Nothing"),
            FormatAddress(Symbol("inspected!Nothing")) + " inspected!Nothing (void)\n");
  EXPECT_EQ(Run("x inspected!Ext*"),
            FormatAddress(Symbol("inspected!Extension")) + " inspected!Extension = struct _CONTEXT_EXT\n");
  EXPECT_EQ(Run("x /0 inspected!Handle"), handle + "\n");
  EXPECT_EQ(Run("x /1 inspected!Handle"), "inspected!Handle\n");
  EXPECT_EQ(Run("x /2 inspected!Handle"), handle + " inspected!Handle\n");
  EXPECT_THAT(Run("x /v inspected!Handle"), testing::StartsWith("prv func   " + handle + " "));
}

TEST_F(NameCommands, FilterAndOrder) {
  EXPECT_THAT(Run("x /d inspected!*"), testing::Not(HasSubstr("Handle")));
  const std::string text = Run("x /1 /n /f inspected!*");
  EXPECT_LT(text.find("Handle"), text.find("InspectedEntry"));
  EXPECT_LT(text.find("InspectedEntry"), text.find("Nothing"));
  EXPECT_EQ(Run("x inspected!NoSuch*"), "");
}

TEST_F(NameCommands, TheSymbolsAroundAnAddress) {
  EXPECT_EQ(
      Run("ln sample!SampleStart+1c"),
      "(fffff806`56781000)   sample!SampleStart+0x1c   |  (fffff806`56781050)   sample!SampleHandler\n");
  EXPECT_EQ(Run("ln sample!SampleStart"),
            "(fffff806`56781000)   sample!SampleStart   |  (fffff806`56781050)   sample!SampleHandler\n"
            "Exact matches:\n"
            "    sample!SampleStart (struct _SAMPLE_DEVICE *, unsigned long)\n");
  EXPECT_EQ(Run("ln 10"), "");
}

}  // namespace
}  // namespace longwire
