"""A small recipe with all that compiles: C in a build root, cgo in it, pure Go; locked.

Its programs take in what a machine could leak into them: times, folders, names of files, the compiler's own version.
"""

from pathlib import Path

from builder.buildroot.model import BASE
from builder.lock.model import Lock, LockedInput
from builder.lock.text import format_lock, read_lock
from builder.recipe.digest import recipe_digest
from builder.recipe.read import read_recipe
from builder.tree import folder_digest
from tests.support import roots
from tests.support.recipes import EPOCH
from tests.support.stepping import write_tree

DEFAULT = Path(__file__).resolve().parents[2] / "recipes/rke2-v1.34"
BUNDLE = """\
sealift: 1
name: mixed
version: v1.0.0
sequence: 1
platforms: [linux/amd64]
go: {go}
buildroot: {suite}
runtime: rke2-runtime
archives:
  rke2-runtime: [rke2-runtime]
"""
COMPONENTS = """\
tool:
  compile: ./src/tool
  version: v1.2.3
  needs: [libseccomp-dev]
  run: [make VERSION=$version]
  output: [tool]
app:
  go: ./src/app
  version: v1.0.0
  build: {app: .}
  cgo: true
  needs: [libseccomp-dev]
  stamp: {main.version: $version}
plain:
  go: ./src/plain
  version: v1.0.0
  build: {plain: .}
  stamp: {main.version: $version}
"""
IMAGES = """\
rke2-runtime:
  name: rancher/rke2-runtime
  layers:
    - tool: /bin
      app: /bin
    - plain: /bin
"""
TOOL = """\
#include <seccomp.h>
#include <stdio.h>
int main(void) {
    return printf("%s %s %s %s %s\\n", VERSION, __DATE__, __TIME__, __FILE__, __VERSION__) < 0;
}
"""
LIBRARY = "#include <time.h>\nlong now(void) { return time(0); }\n"
# What a command sees of who runs it and where.
MAKEFILE = """\
SEEN := $(shell id -un; uname -n; umask; pwd; ls -ln /build | cut -c1-30; echo $$HOME $$USER $$PATH $$TZ $$LANG)
tool: libx.a tool.c
\t$(CC) -static -g -DVERSION='"$(VERSION) $(SEEN)"' -o $@ tool.c -L. -lx -lseccomp
libx.a: a.c
\t$(CC) -g -c a.c
\tar cr $@ a.o
"""
APP = """\
package main

// #include <stdio.h>
// static void say(const char *v) { printf("%s %s %s\\n", v, __DATE__, __FILE__); }
import "C"

var version string

func main() { C.say(C.CString(version)) }
"""
PLAIN = "package main\n\nvar version string\n\nfunc main() { println(version) }\n"
FILES = {
    "components.yaml": COMPONENTS,
    "images.yaml": IMAGES,
    "src/tool/tool.c": TOOL,
    "src/tool/a.c": LIBRARY,
    "src/tool/Makefile": MAKEFILE,
    "src/app/go.mod": "module example.test/app\n\ngo 1.24\n",
    "src/app/main.go": APP,
    "src/plain/go.mod": "module example.test/plain\n\ngo 1.24\n",
    "src/plain/main.go": PLAIN,
}


def mixed_recipe(folder: Path, *, only_c: bool = False) -> Path:
    """Writes the recipe with its lock: the default recipe's Go, and the build root that tests use.

    `only_c` leaves the Go programs out: what is left compiles in a second.
    """
    known = read_lock(DEFAULT)
    go = known.tools[0].source.removeprefix("go-toolchain:")
    files = {"bundle.yaml": BUNDLE.format(go=go, suite=roots.suite()), **FILES}
    if only_c:
        files["bundle.yaml"] = files["bundle.yaml"].replace(f"go: {go}\n", "")
        files["components.yaml"] = COMPONENTS.partition("app:")[0]
        files["images.yaml"] = IMAGES.partition("      app:")[0]
    write_tree(folder, files)
    recipe = read_recipe(folder)
    lock = Lock(
        recipe=recipe_digest(recipe),
        bundle="mixed@v1.0.0",
        epoch=EPOCH,
        tools=() if only_c else known.tools[:1],
        buildroot=tuple(each for each in roots.packages() if each.component in (BASE, "libseccomp-dev")),
        inputs=tuple(
            LockedInput(component=name, source=f"folder:src/{name}", digest=folder_digest(folder / "src" / name))
            for name in sorted(recipe.components)
        ),
        charts=(),
    )
    (folder / "lock.yaml").write_text(format_lock(lock))
    return folder
