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
runtime: rke2-runtime
archives:
  rke2-runtime: [rke2-runtime]
"""
COMPONENTS = {
    "tool": """\
tool:
  compile: ./src/tool
  version: v1.2.3
  needs: [libseccomp-dev]
  run: [make VERSION=$version]
  output: [tool]
""",
    "app": """\
app:
  go: ./src/app
  version: v1.0.0
  build: {app: .}
  cgo: true
  needs: [libseccomp-dev]
  stamp: {main.version: $version}
""",
    "plain": """\
plain:
  go: ./src/plain
  version: v1.0.0
  build: {plain: .}
  stamp: {main.version: $version}
""",
}
ALL = tuple(COMPONENTS)
IMAGES = """\
rke2-runtime:
  name: rancher/rke2-runtime
  layers:
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
PLAIN = 'package main\n\nvar version string\n\nfunc main() { println(version, "as it was written") }\n'
FILES = {
    "src/tool/tool.c": TOOL,
    "src/tool/a.c": LIBRARY,
    "src/tool/Makefile": MAKEFILE,
    "src/app/go.mod": "module example.test/app\n\ngo 1.24\n",
    "src/app/main.go": APP,
    "src/plain/go.mod": "module example.test/plain\n\ngo 1.24\n",
    "src/plain/main.go": PLAIN,
}


def mixed_recipe(folder: Path, *names: str) -> Path:
    """Writes the recipe with its lock: the default recipe's Go, and the build root that tests use.

    `names` of the components that it has; without any, all. `tool` alone compiles in a second.
    """
    names = names or ALL
    known = read_lock(DEFAULT)
    go = known.tools[0].source.removeprefix("go-toolchain:")
    has_go, has_c = names != ("tool",), names != ("plain",)
    more = (f"go: {go}\n" if has_go else "") + (f"buildroot: {roots.suite()}\n" if has_c else "")
    documents = {
        "bundle.yaml": BUNDLE + more,
        "components.yaml": "".join(COMPONENTS[name] for name in names),
        "images.yaml": IMAGES + "".join(f"    - {name}: /bin\n" for name in names),
    }
    files = {name: text for name, text in FILES.items() if name.split("/")[1] in names}
    write_tree(folder, documents | files)
    recipe = read_recipe(folder)
    lock = Lock(
        recipe=recipe_digest(recipe),
        bundle="mixed@v1.0.0",
        epoch=EPOCH,
        tools=known.tools[:1] if has_go else (),
        buildroot=tuple(each for each in roots.packages() if has_c and each.component in (BASE, "libseccomp-dev")),
        inputs=tuple(
            LockedInput(component=name, source=f"folder:src/{name}", digest=folder_digest(folder / "src" / name))
            for name in sorted(recipe.components)
        ),
        charts=(),
    )
    (folder / "lock.yaml").write_text(format_lock(lock))
    return folder
