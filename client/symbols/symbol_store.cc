#include "client/symbols/symbol_store.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "client/symbols/folded_name.h"

namespace longwire {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMaximumPointerFile = 4096, kMaximumFileName = 255;
constexpr std::string_view kUncPrefix = "\\\\";

bool Exists(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0;
}

bool IsTwoTier(const std::string& root) { return Exists(root + "/index2.txt"); }

std::string TranslateUnc(const std::string& location) {
  const char* map = std::getenv("_DBG_UNC_MAP");
  std::string_view rest = map == nullptr ? "" : map;
  while (!rest.empty()) {
    const std::size_t end = rest.find(';');
    const std::string_view entry = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    const std::string_view share = entry.substr(0, equals);
    if (location.size() < share.size() ||
        !EqualFolded(std::string_view(location).substr(0, share.size()), share))
      continue;
    if (location.size() > share.size() && location[share.size()] != '\\') continue;
    std::string mapped = std::string(entry.substr(equals + 1)) + location.substr(share.size());
    for (char& c : mapped)
      if (c == '\\') c = '/';
    return mapped;
  }
  return {};
}

// "PATH:location", "location" or "MSG: why it is missing".
std::optional<std::string> FollowPointer(const std::string& file, const SearchTrace& trace) {
  std::ifstream in(file, std::ios::binary);
  std::string text(kMaximumPointerFile, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  text.resize(std::min(text.size(), text.find_first_of(std::string_view("\r\n\0", 3))));
  if (EqualFolded(std::string_view(text).substr(0, 4), "msg:")) {
    if (trace) trace("SYMSRV:  " + file + ": " + text.substr(4));
    return std::nullopt;
  }
  if (EqualFolded(std::string_view(text).substr(0, 5), "path:")) text.erase(0, 5);
  if (text.starts_with(kUncPrefix)) text = TranslateUnc(text);
  if (text.empty() || !Exists(text)) {
    if (trace) trace("SYMSRV:  " + file + ": its target is not there");
    return std::nullopt;
  }
  return text;
}

std::string KeyDirectory(const std::string& root, const std::string& name, const std::string& key) {
  std::string directory = root;
  if (IsTwoTier(root)) directory += "/" + name.substr(0, 2);
  return directory + "/" + name + "/" + key;
}

}  // namespace

std::optional<std::string> SafeFileName(std::string_view path) {
  const std::size_t slash = path.find_last_of("/\\");
  const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  if (name.empty() || name == "." || name == ".." || name.size() > kMaximumFileName) return std::nullopt;
  for (char c : name)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == ':') return std::nullopt;
  return std::string(name);
}

std::optional<std::string> FindIgnoringCase(const std::string& directory, const std::string& name) {
  const std::string exact = directory + "/" + name;
  if (Exists(exact)) return exact;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(directory.c_str()), ::closedir);
  if (!entries) return std::nullopt;
  while (const dirent* entry = ::readdir(entries.get()))
    if (EqualFolded(entry->d_name, name)) return directory + "/" + entry->d_name;
  return std::nullopt;
}

std::optional<std::string> StoreDirectory(const std::string& store) {
  if (store.empty()) return DefaultStore();
  if (store.find("://") != std::string::npos) return std::nullopt;
  if (!store.starts_with(kUncPrefix)) return store;
  std::string mapped = TranslateUnc(store);
  return mapped.empty() ? std::nullopt : std::optional(std::move(mapped));
}

std::optional<std::string> LookUpInStore(const std::string& root, const std::string& name,
                                         const std::string& key, const SearchTrace& trace) {
  std::optional<std::string> directory = root;
  if (IsTwoTier(root)) directory = FindIgnoringCase(root, name.substr(0, 2));
  if (directory) directory = FindIgnoringCase(*directory, name);
  if (directory) directory = FindIgnoringCase(*directory, key);
  if (!directory) {
    if (trace) trace("SYMSRV:  " + KeyDirectory(root, name, key) + "/" + name + " not found");
    return std::nullopt;
  }
  if (auto file = FindIgnoringCase(*directory, name)) return file;
  const std::string compressed = name.substr(0, name.size() - 1) + "_";
  if (auto file = FindIgnoringCase(*directory, compressed)) {
    if (trace)
      trace("SYMSRV:  " + *file + " is compressed, which is not supported: expand it with cabextract");
    return std::nullopt;
  }
  if (auto pointer = FindIgnoringCase(*directory, "file.ptr")) return FollowPointer(*pointer, trace);
  if (trace) trace("SYMSRV:  " + *directory + "/" + name + " not found");
  return std::nullopt;
}

std::optional<std::string> CopyIntoStore(const std::string& root, const std::string& name,
                                         const std::string& key, const std::string& from) {
  static std::atomic<unsigned> sequence{0};
  const std::string lower = FoldedCopy(name);  // engine.md 7.1: our caches hold lower-case names
  const std::string directory = KeyDirectory(root, lower, key);
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return std::nullopt;
  const std::string temporary =
      directory + "/." + lower + "." + std::to_string(::getpid()) + "." + std::to_string(sequence++) + ".tmp";
  std::string target = directory + "/" + lower;
  fs::copy_file(from, temporary, fs::copy_options::overwrite_existing, error);
  if (!error) fs::permissions(temporary, fs::perms::owner_write, fs::perm_options::add, error);
  if (!error) fs::rename(temporary, target, error);
  if (!error) return target;
  std::error_code ignored;
  fs::remove(temporary, ignored);
  return std::nullopt;
}

}  // namespace longwire
