#!/usr/bin/env bash
# Installs what Tensormill needs to build (with --test: to test, too) on Debian 12 or Ubuntu 24.04.
# Packages that are there already are left alone; a second run installs nothing.
set -euo pipefail

if [ ! -r /etc/os-release ]; then
  echo "install-deps.sh: no /etc/os-release; expected Debian 12 or Ubuntu 24.04" >&2
  exit 1
fi
# shellcheck disable=SC1091
. /etc/os-release
case "${ID:-}-${VERSION_ID:-}" in
  debian-12) boost=libboost1.81-dev ;;
  ubuntu-24.04) boost=libboost1.83-dev ;;
  *)
    boost=libboost-dev
    echo "install-deps.sh: ${PRETTY_NAME:-this system} is neither Debian 12 nor Ubuntu 24.04;" \
      "trying its packages all the same" >&2
    ;;
esac

packages=(
  g++ cmake ninja-build ccache pkg-config git ca-certificates curl python3 python3-pip unzip
  "$boost" libssl-dev nlohmann-json3-dev libspdlog-dev libfmt-dev libcli11-dev
  libpcre2-dev libutf8proc-dev zlib1g-dev
  libcurl4-openssl-dev libarchive-dev libexpat1-dev
)
if [ "${1:-}" = --test ]; then
  packages+=(libgtest-dev libgmock-dev clang-14 libclang-rt-14-dev clang-format-14 clang-tidy-14
    xz-utils)
elif [ $# -gt 0 ]; then
  echo "usage: scripts/install-deps.sh [--test]" >&2
  exit 2
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "install-deps.sh: all ${#packages[@]} packages are there"
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install-deps.sh: run this as root, or install sudo; missing: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "install-deps.sh: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
echo "install-deps.sh: done"
