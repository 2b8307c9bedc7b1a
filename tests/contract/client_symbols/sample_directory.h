#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace longwire {

inline std::string Sample(const std::string& name) { return std::string(LW_SAMPLE_DIR) + "/" + name; }

/// A fresh directory that goes away with the object.
class ScopedDirectory {
 public:
  ScopedDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "longwire-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~ScopedDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScopedDirectory(const ScopedDirectory&) = delete;
  ScopedDirectory& operator=(const ScopedDirectory&) = delete;

  const std::string& path() const { return path_; }
  /// Copies a sample to `relative`, making directories; returns the full path.
  std::string Put(const std::string& sample, const std::string& relative) const {
    const std::filesystem::path to = std::filesystem::path(path_) / relative;
    std::filesystem::create_directories(to.parent_path());
    std::filesystem::copy_file(Sample(sample), to, std::filesystem::copy_options::overwrite_existing);
    return to.string();
  }
  std::string Write(const std::string& relative, const std::string& text) const {
    const std::filesystem::path to = std::filesystem::path(path_) / relative;
    std::filesystem::create_directories(to.parent_path());
    std::ofstream(to) << text;
    return to.string();
  }
  bool Has(const std::string& relative) const { return std::filesystem::exists(path_ + "/" + relative); }

 private:
  std::string path_;
};

}  // namespace longwire
