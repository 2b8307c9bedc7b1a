#include "client/symbols/pdb_container.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "client/symbols/byte_cursor.h"
#include "llvm/DebugInfo/MSF/MappedBlockStream.h"
#include "llvm/DebugInfo/PDB/Native/DbiModuleDescriptor.h"
#include "llvm/DebugInfo/PDB/Native/DbiModuleList.h"
#include "llvm/DebugInfo/PDB/Native/DbiStream.h"
#include "llvm/DebugInfo/PDB/Native/ISectionContribVisitor.h"
#include "llvm/DebugInfo/PDB/Native/PDBFile.h"
#include "llvm/DebugInfo/PDB/Native/RawTypes.h"
#include "llvm/Demangle/Demangle.h"
#include "llvm/Object/COFF.h"
#include "llvm/Support/Allocator.h"
#include "llvm/Support/BinaryByteStream.h"
#include "llvm/Support/MemoryBuffer.h"

namespace longwire {
namespace {

constexpr std::uint16_t kNoStream = 0xffff;
constexpr std::uint32_t kNilStreamSize = 0xffffffff;
constexpr std::uint32_t kInformationStream = 1, kTypeStream = 2;
// Longer names do not come from a compiler, and the demangler's work grows faster than the name.
constexpr std::size_t kMaximumDecoratedName = 4096;
constexpr std::uint32_t kStringTableSignature = 0xeffeeffe;

struct SectionRange {
  std::uint32_t rva = 0, size = 0;
};
struct OmapEntry {
  std::uint32_t from = 0, to = 0;
};

Error Damaged(const std::string& path, std::string why) {
  return Error{Errc::kMalformed, path + " is not a usable PDB: " + std::move(why)};
}

struct RawContribution {
  std::uint32_t section = 0, offset = 0, size = 0, module = 0;
};

class ContributionCollector final : public llvm::pdb::ISectionContribVisitor {
 public:
  explicit ContributionCollector(std::vector<RawContribution>& out) : out_(out) {}
  void visit(const llvm::pdb::SectionContrib& c) override { Add(c); }
  void visit(const llvm::pdb::SectionContrib2& c) override { Add(c.Base); }

 private:
  void Add(const llvm::pdb::SectionContrib& c) {
    if (c.Off < 0 || c.Size <= 0) return;
    out_.push_back({c.ISect, static_cast<std::uint32_t>(std::int32_t{c.Off}),
                    static_cast<std::uint32_t>(std::int32_t{c.Size}), c.Imod});
  }
  std::vector<RawContribution>& out_;
};

}  // namespace

class PdbContainer::Streams {
 public:
  Result<void> Load(const std::string& path);

  const PdbIdentity& identity() const { return identity_; }
  std::uint16_t machine() const { return machine_; }
  bool stripped() const { return stripped_; }
  std::span<const std::uint8_t> types() const { return types_; }
  std::span<const std::uint8_t> symbol_records() const { return symbol_records_; }
  std::size_t module_count() const { return dbi_ == nullptr ? 0 : dbi_->modules().getModuleCount(); }
  PdbModuleStream Module(std::size_t index) const;
  const std::vector<PdbContribution>& contributions() const { return contributions_; }
  std::optional<std::uint32_t> Rva(std::uint16_t section, std::uint32_t offset) const;
  std::string_view String(std::uint32_t offset) const;

 private:
  Result<void> CheckLayout(const std::string& path) const;
  Result<void> LoadDebugInformation(const std::string& path);
  void LoadSections();
  void LoadContributions();
  bool LoadInformation();
  void LoadStrings(std::uint32_t stream);
  PdbModuleStream ReadModule(std::uint32_t index) const;
  std::span<const std::uint8_t> StreamBytes(std::uint32_t index) const;
  std::span<const std::uint8_t> DebugStream(llvm::pdb::DbgHeaderType type) const;

  mutable llvm::BumpPtrAllocator allocator_;  // before file_, which takes memory from it
  std::unique_ptr<llvm::MemoryBuffer> buffer_;
  std::unique_ptr<llvm::pdb::PDBFile> file_;
  llvm::pdb::DbiStream* dbi_ = nullptr;
  PdbIdentity identity_;
  std::uint16_t machine_ = 0;
  bool stripped_ = false;
  std::span<const std::uint8_t> types_, symbol_records_, strings_;
  std::vector<SectionRange> sections_;
  std::vector<OmapEntry> omap_;
  std::vector<PdbContribution> contributions_;
  mutable std::vector<std::optional<PdbModuleStream>> modules_;
};

Result<void> PdbContainer::Streams::Load(const std::string& path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer) {
    const bool missing = buffer.getError() == std::errc::no_such_file_or_directory;
    return Error{missing ? Errc::kNotFound : Errc::kIo,
                 "cannot open " + path + ": " + buffer.getError().message(), 0, buffer.getError().value()};
  }
  buffer_ = std::move(*buffer);
  auto stream = std::make_unique<llvm::BinaryByteStream>(llvm::arrayRefFromStringRef(buffer_->getBuffer()),
                                                         llvm::support::little);
  file_ = std::make_unique<llvm::pdb::PDBFile>(path, std::move(stream), allocator_);
  if (auto error = file_->parseFileHeaders()) return Damaged(path, llvm::toString(std::move(error)));
  if (auto error = file_->parseStreamData()) return Damaged(path, llvm::toString(std::move(error)));
  if (auto layout = CheckLayout(path); !layout) return layout;
  if (!LoadInformation()) return Damaged(path, "its information stream is too short");
  identity_.name = std::filesystem::path(path).filename().string();
  if (file_->getNumStreams() > kTypeStream) types_ = StreamBytes(kTypeStream);
  return LoadDebugInformation(path);
}

// Every block belongs to one stream, so all streams together cannot be longer than the file. LLVM checks
// single blocks only; without this a small file could claim gigabytes by naming the same blocks again and
// again.
Result<void> PdbContainer::Streams::CheckLayout(const std::string& path) const {
  std::uint64_t total = 0;
  for (std::uint32_t i = 0; i < file_->getNumStreams(); ++i) {
    const std::uint32_t size = file_->getStreamSizes()[i];
    if (size != kNilStreamSize) total += size;
  }
  if (total > buffer_->getBufferSize()) return Damaged(path, "its streams are longer than the file");
  return {};
}

std::span<const std::uint8_t> PdbContainer::Streams::StreamBytes(std::uint32_t index) const {
  if (index >= file_->getNumStreams() || file_->getStreamSizes()[index] == kNilStreamSize) return {};
  auto stream = file_->safelyCreateIndexedStream(index);
  if (!stream) {
    llvm::consumeError(stream.takeError());
    return {};
  }
  llvm::ArrayRef<std::uint8_t> bytes;
  if (auto error = (*stream)->readBytes(0, (*stream)->getLength(), bytes)) {
    llvm::consumeError(std::move(error));
    return {};
  }
  return {bytes.data(), bytes.size()};
}

// Identity, then the table of named streams: names, and a hash table of (offset of name, stream). Not by
// LLVM's InfoStream: its look-up reads a name at whatever offset the file says.
bool PdbContainer::Streams::LoadInformation() {
  ByteCursor cursor(StreamBytes(kInformationStream));
  cursor.Skip(8);  // version, time stamp
  identity_.age = cursor.U32();
  const auto guid = cursor.Take(identity_.guid.size());
  std::copy(guid.begin(), guid.end(), identity_.guid.begin());
  if (!cursor.ok()) return false;
  const auto names = cursor.Take(cursor.U32());
  const std::uint32_t count = cursor.U32();
  cursor.U32();                                // capacity
  cursor.Skip(std::size_t{cursor.U32()} * 4);  // which slots are used
  cursor.Skip(std::size_t{cursor.U32()} * 4);  // which were given up
  for (std::uint32_t i = 0; i < count && cursor.remaining() >= 8; ++i) {
    const std::uint32_t name = cursor.U32();
    const std::uint32_t stream = cursor.U32();
    if (name < names.size() && ByteCursor(names.subspan(name)).CString() == "/names") LoadStrings(stream);
  }
  return true;
}

void PdbContainer::Streams::LoadStrings(std::uint32_t stream) {
  ByteCursor cursor(StreamBytes(stream));
  const std::uint32_t signature = cursor.U32();
  cursor.U32();  // hash version
  const std::uint32_t size = cursor.U32();
  if (signature == kStringTableSignature) strings_ = cursor.Take(size);
}

Result<void> PdbContainer::Streams::LoadDebugInformation(const std::string& path) {
  if (!file_->hasPDBDbiStream()) return {};
  auto dbi = file_->getPDBDbiStream();
  if (!dbi) return Damaged(path, llvm::toString(dbi.takeError()));
  dbi_ = &*dbi;
  identity_.age =
      dbi_->getAge();  // the image records this one, not the info stream's (building-blocks.md A.2)
  machine_ = static_cast<std::uint16_t>(dbi_->getMachineType());
  stripped_ = dbi_->isStripped();
  if (dbi_->getSymRecordStreamIndex() != kNoStream)
    symbol_records_ = StreamBytes(dbi_->getSymRecordStreamIndex());
  LoadSections();
  LoadContributions();
  return {};
}

std::span<const std::uint8_t> PdbContainer::Streams::DebugStream(llvm::pdb::DbgHeaderType type) const {
  const std::uint32_t index = dbi_->getDebugStreamIndex(type);
  return index == kNoStream ? std::span<const std::uint8_t>{} : StreamBytes(index);
}

void PdbContainer::Streams::LoadSections() {
  // With an OMAP, symbols count in the sections of the image before it was rearranged.
  ByteCursor omap(DebugStream(llvm::pdb::DbgHeaderType::OmapFromSrc));
  while (omap.remaining() >= 8) {
    const std::uint32_t from = omap.U32();
    omap_.push_back({from, omap.U32()});
  }
  std::span<const std::uint8_t> headers;
  if (!omap_.empty()) headers = DebugStream(llvm::pdb::DbgHeaderType::SectionHdrOrig);
  if (headers.empty()) headers = DebugStream(llvm::pdb::DbgHeaderType::SectionHdr);
  ByteCursor cursor(headers);
  while (cursor.remaining() >= 40) {
    cursor.Skip(8);
    const std::uint32_t virtual_size = cursor.U32();
    const std::uint32_t rva = cursor.U32();
    const std::uint32_t raw_size = cursor.U32();
    cursor.Skip(20);
    sections_.push_back({rva, std::max(virtual_size, raw_size)});
  }
}

void PdbContainer::Streams::LoadContributions() {
  std::vector<RawContribution> raw;
  ContributionCollector collector(raw);
  dbi_->visitSectionContributions(collector);
  const std::size_t modules = module_count();
  for (const RawContribution& c : raw) {
    const auto rva = Rva(static_cast<std::uint16_t>(c.section), c.offset);
    if (rva && c.module < modules) contributions_.push_back({*rva, c.size, c.module});
  }
  std::sort(contributions_.begin(), contributions_.end(),
            [](const auto& a, const auto& b) { return a.rva < b.rva; });
}

std::optional<std::uint32_t> PdbContainer::Streams::Rva(std::uint16_t section, std::uint32_t offset) const {
  if (section == 0 || section > sections_.size() || offset > sections_[section - 1].size) return std::nullopt;
  const std::uint32_t rva = sections_[section - 1].rva + offset;
  if (omap_.empty()) return rva;
  auto after =
      std::upper_bound(omap_.begin(), omap_.end(), rva,
                       [](std::uint32_t value, const OmapEntry& entry) { return value < entry.from; });
  if (after == omap_.begin()) return std::nullopt;
  const OmapEntry& entry = *(after - 1);
  if (entry.to == 0) return std::nullopt;  // removed from the final image
  return entry.to + (rva - entry.from);
}

// Once per compiland: finding its descriptor is a search, and a stream in scattered blocks is copied.
PdbModuleStream PdbContainer::Streams::Module(std::size_t index) const {
  if (index >= module_count()) return {};
  if (modules_.empty()) modules_.resize(module_count());
  if (!modules_[index]) modules_[index] = ReadModule(static_cast<std::uint32_t>(index));
  return *modules_[index];
}

PdbModuleStream PdbContainer::Streams::ReadModule(std::uint32_t index) const {
  const auto module = dbi_->modules().getModuleDescriptor(index);
  const std::uint16_t stream = module.getModuleStreamIndex();
  if (stream == kNoStream) return {};
  const auto bytes = StreamBytes(stream);
  const std::uint64_t symbols = module.getSymbolDebugInfoByteSize(), c11 = module.getC11LineInfoByteSize(),
                      c13 = module.getC13LineInfoByteSize();
  PdbModuleStream result;
  if (symbols >= 4 && symbols <= bytes.size()) result.symbols = bytes.first(symbols);
  if (symbols + c11 + c13 <= bytes.size()) result.lines = bytes.subspan(symbols + c11, c13);
  return result;
}

std::string_view PdbContainer::Streams::String(std::uint32_t offset) const {
  if (offset >= strings_.size()) return {};
  ByteCursor cursor(strings_.subspan(offset));
  return cursor.CString();
}

namespace {

// "Foo::Bar(int) const" -> "Foo::Bar"; "operator()(int)" keeps its own parentheses.
std::string_view WithoutArguments(std::string_view name) {
  const std::size_t close = name.rfind(')');
  if (close == std::string_view::npos) return name;
  int depth = 0;
  for (std::size_t i = close + 1; i-- > 0;) {
    if (name[i] == ')') ++depth;
    if (name[i] == '(' && --depth == 0) {
      const std::string_view head = name.substr(0, i);
      return head.empty() || head.ends_with("operator") ? name : head;
    }
  }
  return name;
}

}  // namespace

PdbContainer::PdbContainer(std::unique_ptr<Streams> streams) : streams_(std::move(streams)) {}
PdbContainer::~PdbContainer() = default;

Result<std::unique_ptr<PdbContainer>> PdbContainer::Open(const std::string& path) {
  auto streams = std::make_unique<Streams>();
  if (auto loaded = streams->Load(path); !loaded) return loaded.error();
  return std::unique_ptr<PdbContainer>(new PdbContainer(std::move(streams)));
}

const PdbIdentity& PdbContainer::identity() const { return streams_->identity(); }
std::uint16_t PdbContainer::machine() const { return streams_->machine(); }
bool PdbContainer::stripped() const { return streams_->stripped(); }
std::span<const std::uint8_t> PdbContainer::types() const { return streams_->types(); }
std::span<const std::uint8_t> PdbContainer::symbol_records() const { return streams_->symbol_records(); }
std::size_t PdbContainer::module_count() const { return streams_->module_count(); }
PdbModuleStream PdbContainer::Module(std::size_t index) const { return streams_->Module(index); }
const std::vector<PdbContribution>& PdbContainer::contributions() const { return streams_->contributions(); }
std::optional<std::uint32_t> PdbContainer::Rva(std::uint16_t section, std::uint32_t offset) const {
  return streams_->Rva(section, offset);
}
std::string_view PdbContainer::String(std::uint32_t offset) const { return streams_->String(offset); }

std::string UndecorateCxxName(std::string_view decorated) {
  std::string name(decorated);
  if (!decorated.starts_with('?') || decorated.size() > kMaximumDecoratedName) return name;
  using namespace llvm;
  const auto flags =
      static_cast<MSDemangleFlags>(MSDF_NoAccessSpecifier | MSDF_NoCallingConvention | MSDF_NoReturnType |
                                   MSDF_NoMemberType | MSDF_NoVariableType);
  int status = 0;
  char* text = microsoftDemangle(name.c_str(), nullptr, nullptr, nullptr, &status, flags);
  if (text == nullptr) return name;
  if (status == 0) name = WithoutArguments(text);
  std::free(text);
  return name;
}

}  // namespace longwire
