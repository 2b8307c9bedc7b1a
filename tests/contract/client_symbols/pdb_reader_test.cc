#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "client/symbols/pe_image.h"
#include "client/symbols/symbol_file.h"

namespace longwire {
namespace {

std::string Sample(const std::string& name) { return std::string(LW_SAMPLE_DIR) + "/" + name; }

class SamplePdb : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = OpenPdb(Sample("sample.pdb"));
    ASSERT_TRUE(opened) << opened.error().message;
    pdb = *std::move(opened);
  }
  TypeInfo Type(const std::string& name) {
    auto id = pdb->FindType(name);
    EXPECT_TRUE(id) << name;
    if (!id) return {};
    auto info = pdb->DescribeType(*id);
    EXPECT_TRUE(info) << name;
    return info ? *info : TypeInfo{};
  }
  TypeInfo Described(TypeId id) {
    auto info = pdb->DescribeType(id);
    EXPECT_TRUE(info);
    return info ? *info : TypeInfo{};
  }
  static TypeField Field(const TypeInfo& type, const std::string& name) {
    auto field =
        std::find_if(type.fields.begin(), type.fields.end(), [&](const auto& f) { return f.name == name; });
    EXPECT_NE(field, type.fields.end()) << name;
    return field == type.fields.end() ? TypeField{} : *field;
  }
  Symbol Find(const std::string& name) {
    auto symbol = pdb->FindSymbol(name);
    EXPECT_TRUE(symbol) << name;
    return symbol ? *symbol : Symbol{};
  }

  std::unique_ptr<SymbolFile> pdb;
};

TEST_F(SamplePdb, IdentityIsTheOneTheImageRecords) {
  auto image = PeFile::Open(Sample("sample.sys"));
  ASSERT_TRUE(image);
  auto identity =
      ReadPdbIdentity((*image)->headers(), [&](auto rva, auto out) { return (*image)->Read(rva, out); });
  ASSERT_TRUE(identity);
  EXPECT_EQ(pdb->identity(), *identity);
  EXPECT_EQ(identity->name, "sample.pdb");
  EXPECT_TRUE(pdb->has_private_symbols());
}

TEST_F(SamplePdb, FindsFunctionsAndDataByName) {
  const Symbol start = Find("SampleStart");
  EXPECT_TRUE(start.is_function);
  EXPECT_FALSE(start.is_public);
  EXPECT_GT(start.size, 0u);
  EXPECT_EQ(Described(start.type).kind, TypeKind::kFunction);
  const Symbol device = Find("SampleDevice");
  EXPECT_EQ(device.size, Type("_SAMPLE_DEVICE").size);
  EXPECT_EQ(Find("SampleCount").size, 4u);  // static
  EXPECT_EQ(Find("SampleHandler").name, "SampleHandler");
}

TEST_F(SamplePdb, NamesFallBackToAnotherCase) {
  EXPECT_EQ(Find("samplestart").name, "SampleStart");
  EXPECT_FALSE(pdb->FindSymbol("SampleStar"));
  EXPECT_EQ(pdb->FindSymbol("SampleStar").error().code, Errc::kNotFound);
}

TEST_F(SamplePdb, CxxNamesCarryNoDecoration) {
  EXPECT_EQ(Find("shapes::Square::Area").name, "shapes::Square::Area");
  EXPECT_EQ(Find("shapes::square").name, "shapes::square");
  EXPECT_EQ(Find("shapes::Shape::created").name, "shapes::Shape::created");
}

TEST_F(SamplePdb, NearestSymbolIsTheOneAtOrBelow) {
  const Symbol handler = Find("SampleHandler");
  for (std::uint32_t offset : {0u, 1u, static_cast<std::uint32_t>(handler.size) - 1}) {
    auto nearest = pdb->NearestSymbol(handler.rva + offset);
    ASSERT_TRUE(nearest);
    EXPECT_EQ(nearest->name, "SampleHandler");
    EXPECT_EQ(nearest->rva, handler.rva);
  }
  auto before = pdb->NearestSymbol(handler.rva - 1);
  EXPECT_TRUE(!before || before->rva < handler.rva);
}

TEST_F(SamplePdb, NextSymbolFollowsInAddressOrder) {
  std::vector<Symbol> all;
  pdb->ForEachSymbol([](std::string_view) { return true; },
                     [&](const Symbol& s) {
                       all.push_back(s);
                       return true;
                     });
  ASSERT_GT(all.size(), 6u);
  for (const Symbol& from : all) {
    std::uint32_t expected = UINT32_MAX;
    for (const Symbol& s : all)
      if (s.rva > from.rva) expected = std::min(expected, s.rva);
    auto next = pdb->NextSymbol(from.rva);
    if (expected == UINT32_MAX) continue;
    ASSERT_TRUE(next) << from.name;
    EXPECT_EQ(next->rva, expected) << "after " << from.name;
  }
}

TEST_F(SamplePdb, ForEachSymbolGivesOneEntryPerPrivateNameAndStopsWhenTold) {
  int count = 0;
  pdb->ForEachSymbol([](std::string_view name) { return name == "SampleStart"; },
                     [&](const Symbol& s) {
                       EXPECT_FALSE(s.is_public);
                       return ++count != 0;
                     });
  EXPECT_EQ(count, 1);
  count = 0;
  pdb->ForEachSymbol([](std::string_view) { return true; }, [&](const Symbol&) { return ++count < 3; });
  EXPECT_EQ(count, 3);
}

TEST_F(SamplePdb, StructureHasOffsetsBitFieldsAndUnions) {
  const TypeInfo device = Type("_SAMPLE_DEVICE");
  EXPECT_EQ(device.kind, TypeKind::kStruct);
  EXPECT_EQ(device.name, "_SAMPLE_DEVICE");
  EXPECT_EQ(device.c_name, "struct _SAMPLE_DEVICE");
  EXPECT_EQ(Field(device, "Size").offset, 2u);
  EXPECT_EQ(Field(device, "List").offset, 8u);
  EXPECT_EQ(Field(device, "Flags").offset, 0x18u);
  const TypeField mode = Field(device, "Mode");
  EXPECT_EQ(mode.offset, 0x18u);
  EXPECT_EQ(mode.bit_position, 1);
  EXPECT_EQ(mode.bit_count, 3);
  EXPECT_EQ(Described(mode.type).name, "Uint4B");
  const TypeInfo counter = Described(Field(device, "Counter").type);
  EXPECT_TRUE(counter.is_union);
  EXPECT_EQ(counter.name, "<unnamed-tag>");
  const TypeInfo parts = Described(Field(counter, "Parts").type);
  EXPECT_EQ(parts.name, "<unnamed-tag>");
  EXPECT_EQ(Field(parts, "High").offset, 4u);
}

TEST_F(SamplePdb, BaseTypesArraysPointersAndFunctionsAreSpelledAsDebuggersDo) {
  const TypeInfo device = Type("_SAMPLE_DEVICE");
  const auto name = [&](const std::string& field) { return Described(Field(device, field).type).name; };
  EXPECT_EQ(name("Type"), "Uint2B");
  EXPECT_EQ(name("Flags"), "Uint4B");
  EXPECT_EQ(name("Tag"), "Char");
  EXPECT_EQ(name("Ratio"), "Float8B");
  EXPECT_EQ(name("Context"), "Ptr64 Void");
  EXPECT_EQ(name("Name"), "[16] UChar");
  EXPECT_EQ(name("Slots"), "[4] Uint8B");
  EXPECT_EQ(name("Handler"), "Ptr64     long ");
  EXPECT_EQ(Described(Field(Type("_LIST_ENTRY"), "Flink").type).name, "Ptr64 _LIST_ENTRY");
  const TypeInfo slots = Described(Field(device, "Slots").type);
  EXPECT_EQ(slots.kind, TypeKind::kArray);
  EXPECT_EQ(slots.count, 4u);
  const TypeInfo handler = Described(Described(Field(device, "Handler").type).referent);
  ASSERT_EQ(handler.parameters.size(), 2u);
  EXPECT_EQ(Described(handler.parameters[0]).c_name, "struct _SAMPLE_DEVICE *");
  EXPECT_EQ(handler.c_name, "long (struct _SAMPLE_DEVICE *, unsigned long)");
}

TEST_F(SamplePdb, EnumerationKeepsNegativeValues) {
  const TypeInfo state = Type("_SAMPLE_STATE");
  EXPECT_EQ(state.kind, TypeKind::kEnum);
  EXPECT_EQ(state.size, 4u);
  ASSERT_EQ(state.enumerators.size(), 3u);
  EXPECT_EQ(state.enumerators[1].name, "SampleStarted");
  EXPECT_EQ(state.enumerators[1].value, 2);
  EXPECT_EQ(state.enumerators[2].value, -1);
}

TEST_F(SamplePdb, ForwardReferencesBecomeDefinitions) {
  const TypeInfo list = Type("_LIST_ENTRY");
  const TypeInfo target = Described(Described(Field(list, "Flink").type).referent);
  EXPECT_EQ(target.id, list.id);
  EXPECT_EQ(target.size, 16u);
  EXPECT_EQ(target.fields.size(), 2u);
}

TEST_F(SamplePdb, ClassesHaveBasesVtablesStaticMembersAndNestedTypes) {
  const TypeInfo square = Type("shapes::Square");
  ASSERT_FALSE(square.fields.empty());
  EXPECT_TRUE(square.fields[0].base_class);
  EXPECT_EQ(square.fields[0].name, "shapes::Shape");
  EXPECT_EQ(Described(Field(square, "corners").type).name, "[4] shapes::Square::Corner");
  const TypeInfo shape = Type("shapes::Shape");
  EXPECT_TRUE(Field(shape, "created").is_static);
  EXPECT_EQ(Field(shape, "__VFN_table").offset, 0u);
  EXPECT_EQ(Type("shapes::Box<int>").size, 4u);
}

TEST_F(SamplePdb, TypesAreFoundByTypedefKeywordCaseAndPointer) {
  EXPECT_EQ(Type("SAMPLE_DEVICE").id, Type("_SAMPLE_DEVICE").id);
  EXPECT_EQ(Type("struct _SAMPLE_DEVICE").id, Type("_sample_device").id);
  EXPECT_EQ(Type("unsigned long").name, "Uint4B");
  EXPECT_EQ(Type("ULONG64").size, 8u);
  const TypeInfo pointer = Type("_SAMPLE_DEVICE *");
  EXPECT_EQ(pointer.kind, TypeKind::kPointer);
  EXPECT_EQ(pointer.size, 8u);
  EXPECT_EQ(Described(pointer.referent).name, "_SAMPLE_DEVICE");
  EXPECT_FALSE(pdb->FindType("_NOT_THERE"));
  EXPECT_FALSE(pdb->DescribeType(0x00ffffff));
}

TEST_F(SamplePdb, LinesNameTheFileAndTheLine) {
  auto line = pdb->FindLine(Find("SampleHandler").rva);
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_TRUE(line->file.ends_with("device.c")) << line->file;
  EXPECT_EQ(line->line, 7u);
  EXPECT_EQ(line->displacement, 0u);
  auto inside = pdb->FindLine(Find("SampleHandler").rva + 1);
  ASSERT_TRUE(inside);
  EXPECT_EQ(inside->displacement, 1u);
  EXPECT_FALSE(pdb->FindLine(Find("SampleDevice").rva));
}

TEST_F(SamplePdb, LocalsAndParametersOfUnoptimizedCode) {
  const Symbol handler = Find("SampleHandler");
  auto locals = pdb->FindLocals(handler.rva + static_cast<std::uint32_t>(handler.size) / 2);
  ASSERT_TRUE(locals) << locals.error().message;
  std::map<std::string, LocalVariable> by_name;
  for (const LocalVariable& v : *locals) by_name[v.name] = v;
  ASSERT_TRUE(by_name.contains("device") && by_name.contains("code") && by_name.contains("local_total"));
  EXPECT_TRUE(by_name["device"].is_parameter);
  EXPECT_TRUE(by_name["code"].is_parameter);
  EXPECT_FALSE(by_name["local_total"].is_parameter);
  EXPECT_EQ(by_name["device"].location.kind, VariableLocation::Kind::kRegisterRelative);
  EXPECT_EQ(by_name["device"].location.register_name, "rsp");
  EXPECT_EQ(Described(by_name["device"].type).name, "Ptr64 _SAMPLE_DEVICE");
}

TEST_F(SamplePdb, BlockVariablesAreVisibleInTheirBlockOnly) {
  const Symbol handler = Find("SampleHandler");
  const auto sees_inner = [&](std::uint32_t rva) {
    auto locals = pdb->FindLocals(rva);
    EXPECT_TRUE(locals);
    return locals &&
           std::any_of(locals->begin(), locals->end(), [](const auto& v) { return v.name == "inner_sum"; });
  };
  EXPECT_FALSE(sees_inner(handler.rva));
  bool seen = false;
  for (std::uint32_t i = 0; i < handler.size; ++i) seen = seen || sees_inner(handler.rva + i);
  EXPECT_TRUE(seen);
}

TEST_F(SamplePdb, LocalsOfOptimizedCodeLiveInRegisters) {
  const Symbol sum = Find("SumOfAreas");
  auto locals = pdb->FindLocals(sum.rva);
  ASSERT_TRUE(locals);
  auto squares =
      std::find_if(locals->begin(), locals->end(), [](const auto& v) { return v.name == "squares"; });
  ASSERT_NE(squares, locals->end());
  EXPECT_TRUE(squares->is_parameter);
  EXPECT_EQ(squares->location.kind, VariableLocation::Kind::kRegister);
  EXPECT_EQ(squares->location.register_name, "rcx");
}

TEST(PublicPdb, HasPublicNamesUndecoratedAndNoLocals) {
  auto pdb = OpenPdb(Sample("public.pdb"));
  ASSERT_TRUE(pdb) << pdb.error().message;
  EXPECT_FALSE((*pdb)->has_private_symbols());
  auto start = (*pdb)->FindSymbol("SampleStart");
  ASSERT_TRUE(start);
  EXPECT_TRUE(start->is_public);
  EXPECT_TRUE(start->is_function);
  auto area = (*pdb)->FindSymbol("shapes::Square::Area");
  ASSERT_TRUE(area);
  EXPECT_EQ(area->name, "shapes::Square::Area");
  auto nearest = (*pdb)->NearestSymbol(area->rva);
  ASSERT_TRUE(nearest);
  EXPECT_EQ(nearest->name, "shapes::Square::Area");
  EXPECT_TRUE((*pdb)->FindSymbol("?Area@Square@shapes@@UEBAHXZ"));
  EXPECT_FALSE((*pdb)->FindLocals(start->rva));
}

TEST(X86Pdb, DecorationOfCallingConventionsIsUnderstood) {
  auto pdb = OpenPdb(Sample("stdcall.pdb"));
  ASSERT_TRUE(pdb) << pdb.error().message;
  for (const char* name :
       {"DllMain", "_DllMain@12", "Quick", "@Quick@8", "PlainData", "_PlainData", "main_entry"}) {
    auto symbol = (*pdb)->FindSymbol(name);
    ASSERT_TRUE(symbol) << name;
    EXPECT_EQ(symbol->name.find('@'), std::string::npos);
  }
  EXPECT_EQ((*pdb)->FindSymbol("_DllMain@12")->name, "DllMain");
}

TEST(OpenPdb, SaysWhatIsWrongWithAFile) {
  EXPECT_EQ(OpenPdb(Sample("none.pdb")).error().code, Errc::kNotFound);
  EXPECT_EQ(OpenPdb(Sample("sample.sys")).error().code, Errc::kMalformed);
  EXPECT_EQ(OpenPdb(LW_SAMPLE_DIR).error().code, Errc::kMalformed);
  EXPECT_EQ(OpenPdb("/dev/zero").error().code, Errc::kMalformed);
}

}  // namespace
}  // namespace longwire
