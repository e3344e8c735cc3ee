# The libraries that Tensormill uses; docs/dependencies.md says what for.
# TENSORMILL_DEPS names a folder (include/, lib/ or lib/<triplet>/) with static PCRE2 and utf8proc, for
# machines whose distribution does not have them.
set(TENSORMILL_DEPS "" CACHE PATH "Folder with include/ and lib/ of static PCRE2 and utf8proc")

find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(CURL 7.85 REQUIRED)
find_package(LibArchive 3.4 REQUIRED)
find_package(EXPAT REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)

function(tensormill_static_library target library header)
  find_library(${target}_FILE NAMES ${library} REQUIRED NO_DEFAULT_PATH
    PATHS ${TENSORMILL_DEPS}/lib ${TENSORMILL_DEPS}/lib/${CMAKE_LIBRARY_ARCHITECTURE})
  find_path(${target}_INCLUDE NAMES ${header} REQUIRED NO_DEFAULT_PATH
    PATHS ${TENSORMILL_DEPS}/include)
  add_library(${target} STATIC IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES IMPORTED_LOCATION ${${target}_FILE}
    INTERFACE_INCLUDE_DIRECTORIES ${${target}_INCLUDE})
endfunction()

if(TENSORMILL_DEPS)
  tensormill_static_library(tensormill_pcre2 libpcre2-8.a pcre2.h)
  tensormill_static_library(tensormill_utf8proc libutf8proc.a utf8proc.h)
  target_compile_definitions(tensormill_utf8proc INTERFACE UTF8PROC_STATIC)
else()
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
  pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
  add_library(tensormill_pcre2 ALIAS PkgConfig::PCRE2)
  add_library(tensormill_utf8proc ALIAS PkgConfig::UTF8PROC)
endif()
