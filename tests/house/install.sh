#!/bin/sh
# Installs into a scratch prefix and builds a consumer against it, once through pkg-config and once
# through find_package. Usage: install.sh CMAKE BUILD_FOLDER C_COMPILER VERSION LIBDIR
set -eu
cmake=$1 build=$2 cc=$3 version=$4 libdir=$5
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d "$build/install-test.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix
fail() {
  echo "install: $*"
  exit 1
}

"$cmake" --install "$build" --prefix "$prefix" >"$scratch/log" || {
  tail -n 20 "$scratch/log"
  fail "cmake --install"
}

PKG_CONFIG_PATH=$prefix/$libdir/pkgconfig
export PKG_CONFIG_PATH
[ "$(pkg-config --modversion willis)" = "$version" ] || fail "willis.pc does not say $version"
"$cc" -std=c17 -Wall -Wextra -Werror "$here/consumer/consumer.c" -o "$scratch/by-pkg-config" \
  $(pkg-config --cflags --libs willis) "-Wl,-rpath,$prefix/$libdir"
[ "$("$scratch/by-pkg-config")" = "$version" ] || fail "consumer by pkg-config"

"$cmake" -S "$here/consumer" -B "$scratch/build" -G Ninja "-DCMAKE_C_COMPILER=$cc" \
  "-DCMAKE_PREFIX_PATH=$prefix" "-DWANTED=$version" >"$scratch/log" 2>&1 &&
  "$cmake" --build "$scratch/build" >>"$scratch/log" 2>&1 || {
  tail -n 20 "$scratch/log"
  fail "consumer by find_package"
}
[ "$("$scratch/build/consumer")" = "$version" ] || fail "consumer by find_package runs"

# The command finds its library where it was installed, and brings its documents along.
"$prefix/bin/willis" --version | grep -qx "willis $version" || fail "installed willis --version"
for command in $("$prefix/bin/willis" --print-commands); do
  [ -s "$prefix/share/man/man1/willis-$command.1" ] || fail "no man page for $command"
done
for file in share/man/man1/willis.1 share/bash-completion/completions/willis \
  share/zsh/site-functions/_willis share/doc/willis/LICENSE; do
  [ -s "$prefix/$file" ] || fail "$file is missing"
done
grep -rl "$build" "$prefix/$libdir/pkgconfig" "$prefix/$libdir/cmake" && fail "build paths installed"
echo "installed, found twice, documented"
