#include "client/symbols/module.h"

#include <gtest/gtest.h>

#include <string>

namespace longwire {
namespace {

ModuleRecord Record(std::string image, std::uint64_t base, std::uint32_t size = 0x1000) {
  ModuleRecord record;
  record.image_name = std::move(image);
  record.base = base;
  record.size = size;
  return record;
}

TEST(ModuleName, IsTheImageNameMadeAWord) {
  EXPECT_EQ(ModuleNameOf(Record("mydrv.sys", 1)), "mydrv");
  EXPECT_EQ(ModuleNameOf(Record("my-drv.v2.sys", 1)), "my_drv_v2");
  EXPECT_EQ(ModuleNameOf(Record("1394ohci.sys", 0xf000)), "imagef000");
  EXPECT_EQ(ModuleNameOf(Record("noextension", 1)), "noextension");
  EXPECT_EQ(ModuleNameOf(Record("", 0xab)), "imageab");
  ModuleRecord by_path;
  by_path.image_path = "\\SystemRoot\\System32\\drivers\\disk.sys";
  EXPECT_EQ(ModuleNameOf(by_path), "disk");
}

TEST(ModuleName, KernelHalAndTransportsAreNamedByRole) {
  EXPECT_EQ(ModuleNameOf(Record("ntkrnlmp.exe", 1)), "nt");
  EXPECT_EQ(ModuleNameOf(Record("ntoskrnl.exe", 1)), "nt");
  EXPECT_EQ(ModuleNameOf(Record("halmacpi.dll", 1)), "hal");
  EXPECT_EQ(ModuleNameOf(Record("HAL.dll", 1)), "hal");
  EXPECT_EQ(ModuleNameOf(Record("kdnet.dll", 1)), "kdcom");
  ModuleRecord kernel = Record("custom.exe", 1);
  kernel.is_kernel = true;
  EXPECT_EQ(ModuleNameOf(kernel), "nt");
}

TEST(ModuleList, SecondOfANameGetsItsBase) {
  ModuleList list;
  list.Replace({Record("dup.sys", 0x1000), Record("DUP.dll", 0x5000)});
  EXPECT_EQ(list.modules()[0]->name(), "dup");
  EXPECT_EQ(list.modules()[1]->name(), "DUP_5000");
  EXPECT_EQ(list.Add(Record("dup.exe", 0x9000)).name(), "dup_9000");
}

TEST(ModuleList, FindsByAddressAtBothEnds) {
  ModuleList list;
  list.Replace({Record("b.sys", 0x5000), Record("a.sys", 0x1000)});
  EXPECT_EQ(list.FindByAddress(0xfff), nullptr);
  EXPECT_EQ(list.FindByAddress(0x1000)->name(), "a");
  EXPECT_EQ(list.FindByAddress(0x1fff)->name(), "a");
  EXPECT_EQ(list.FindByAddress(0x2000), nullptr);
  EXPECT_EQ(list.FindByAddress(0x5abc)->name(), "b");
}

TEST(ModuleList, ModuleAtTheTopOfTheAddressSpaceHoldsItsLastByte) {
  ModuleList list;
  list.Replace({Record("top.sys", 0xfffffffffffff000)});
  EXPECT_NE(list.FindByAddress(0xffffffffffffffff), nullptr);
}

TEST(ModuleList, FindsByNameImageAndPattern) {
  ModuleList list;
  list.Replace({Record("usbhub.sys", 0x1000), Record("usbport.sys", 0x3000), Record("disk.sys", 0x5000)});
  EXPECT_EQ(list.FindByName("USBHUB")->base(), 0x1000u);
  EXPECT_EQ(list.FindByImageName("Disk.SYS")->base(), 0x5000u);
  EXPECT_EQ(list.FindByName("none"), nullptr);
  EXPECT_EQ(list.Match("usb*").size(), 2u);
}

TEST(ModuleList, ReplaceKeepsEqualModulesAndDropsOthers) {
  ModuleList list;
  list.Replace({Record("a.sys", 0x1000), Record("b.sys", 0x3000)});
  const Module* a = list.FindByName("a");
  list.Replace({Record("c.sys", 0x3000), Record("a.sys", 0x1000)});
  EXPECT_EQ(list.FindByName("a"), a);
  EXPECT_EQ(list.FindByName("b"), nullptr);
  EXPECT_EQ(list.modules()[0]->name(), "c") << "the target's order";
  list.Remove(*a);
  EXPECT_EQ(list.FindByAddress(0x1000), nullptr);
}

TEST(ModuleList, DuplicateRecordsAreTwoModules) {
  ModuleList list;
  list.Replace({Record("a.sys", 0x1000), Record("a.sys", 0x1000)});
  list.Replace({Record("a.sys", 0x1000), Record("a.sys", 0x1000)});
  EXPECT_EQ(list.size(), 2u);
}

}  // namespace
}  // namespace longwire
