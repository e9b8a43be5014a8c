#!/bin/sh
# poisoned.sh COMMAND... : runs the command on a machine that lies: compilers and their tools that fail loudly are first
# on PATH, variables that compilers and go listen to name things that spoil what they make, and (where this machine has a
# compiler to make it) a preloaded library stops compilers that are called by their full path.
# Exit code 1, with names, when any of them was called, else the command's own.
set -eu
lies=$(mktemp -d "${TMPDIR:-/tmp}/poisoned.XXXXXX")
trap 'rm -rf "$lies"' EXIT
mkdir "$lies/bin" "$lies/called"

cat >"$lies/preload.c" <<'C'
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
static const char *names = " gcc gcc-12 cc cc1 cpp c++ g++ collect2 as ld ld.bfd ld.gold ar ranlib nm strip objcopy make pkg-config ";
__attribute__((constructor)) static void refuse(void) {
    char exe[4096] = {0}, name[300] = " ", mark[600] = CALLED "/";
    if (readlink("/proc/self/exe", exe, sizeof exe - 1) < 0 || !strrchr(exe, '/')) return;
    char *base = strrchr(exe, '/') + 1;
    if (!strncmp(base, "x86_64-linux-gnu-", 17)) base += 17;
    if (strlen(base) > 250) return;
    if (!strstr(names, strcat(strcat(name, base), " "))) return;
    close(open(strcat(mark, base), O_CREAT | O_WRONLY, 0666));
    write(2, "poisoned: a preloaded library was in a compiler\n", 48);
    _exit(66);
}
C
cc -shared -fPIC -w -DCALLED="\"$lies/called\"" -o "$lies/preload.so" "$lies/preload.c" 2>/dev/null || : >"$lies/preload.so"

for name in gcc cc cpp c++ g++ ld as ar nm ranlib strip objcopy make pkg-config go x86_64-linux-gnu-gcc aarch64-linux-gnu-gcc; do
  printf '#!/bin/sh\n: >"%s/called/%s"\necho "poisoned: %s $*" >&2\nexit 66\n' "$lies" "$name" "$name" >"$lies/bin/$name"
  chmod 755 "$lies/bin/$name"
done

# A header, a library and a specs file that stop or spoil whatever finds them.
echo '#error poisoned' | tee "$lies/stdio.h" "$lies/stdlib.h" "$lies/seccomp.h" >/dev/null
echo 'poisoned' | tee "$lies/libc.a" "$lies/libseccomp.a" "$lies/crt1.o" "$lies/specs" >/dev/null

status=0
env PATH="$lies/bin:$PATH" LD_PRELOAD="$lies/preload.so" LD_LIBRARY_PATH="$lies" \
  CC="$lies/bin/gcc" CXX="$lies/bin/g++" LD="$lies/bin/ld" AR="$lies/bin/ar" AS="$lies/bin/as" \
  CFLAGS="-DPOISON -O0" CPPFLAGS="-DPOISON" LDFLAGS="-L$lies" CPATH="$lies" C_INCLUDE_PATH="$lies" LIBRARY_PATH="$lies" \
  GCC_EXEC_PREFIX="$lies/" COMPILER_PATH="$lies/bin" PKG_CONFIG_PATH="$lies" MAKEFLAGS=-n \
  GOFLAGS="-tags=poison -ldflags=-X=main.version=poison" GOROOT="$lies" GOEXPERIMENT=nosuch \
  CGO_CFLAGS=-DPOISON CGO_LDFLAGS="-L$lies" CGO_ENABLED=0 GODEBUG=fips140=off \
  "$@" || status=$?

called=$(ls "$lies/called")
[ -z "$called" ] || { echo "poisoned: called:" $called >&2; exit 1; }
exit $status
