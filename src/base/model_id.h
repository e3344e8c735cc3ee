#pragma once

#include <string_view>

namespace tensormill {

// "org/name" or "name" as the hub allows them: letters, digits, '-', '_' and '.', at most 96
// characters, no "--" or "..", neither '-' nor '.' at an end of a part, no ".git" at the end.
bool is_hub_id(std::string_view text);

// .zip, .mar, .tar, .tgz, .tar.gz and .tar.z in any case.
bool has_archive_suffix(std::string_view path);
// The path without that suffix; as it is where there is none.
std::string_view without_archive_suffix(std::string_view path);

// s3://, http:// and https://: what is downloaded to become a folder.
bool is_download_url(std::string_view text);

}  // namespace tensormill
