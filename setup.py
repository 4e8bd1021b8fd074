"""Compiled parts of fovideo: every ext/fovideo/**/*.pyx becomes the module of the same path in fovideo/."""

import os
import re
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

EXT = Path("ext")
NAMED = re.compile(r'(?m)^\s*(?:#include|cdef extern from) "(fov_\w+\.h)"|^from (fovideo[\w.]+) cimport')
FLAGS = {
    "msvc": ["/O2", "/std:c11"],
    "unix": ["-O3", "-std=c11", "-Wall", "-Wno-unused-function"],
}
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "auto_pickle": False,
    "autotestdict": False,
}


class BuildExt(build_ext):
    """All cores; compiler flags by compiler, since only here is it known which one builds."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self) -> None:
        for extension in self.extensions:
            extension.extra_compile_args = FLAGS.get(self.compiler.compiler_type, FLAGS["unix"])
        super().build_extensions()


def needs(source: Path, known: frozenset[Path] = frozenset()) -> frozenset[Path]:
    """What a file includes or cimports, and what that does in turn: a change there builds it again."""
    for header, module in NAMED.findall(source.read_text("utf-8")):
        named = EXT / "include" / header if header else (EXT / module.replace(".", "/")).with_suffix(".pxd")
        if named not in known:
            known = needs(named, known | {named})
    own = source.with_suffix(".pxd")
    return needs(own, known | {own}) if source.suffix == ".pyx" and own.exists() else known


def extensions() -> list[Extension]:
    """The largest first, so that no core waits for it at the end."""
    return [
        Extension(
            ".".join(source.relative_to(EXT).with_suffix("").parts),
            sources=[source.as_posix()],
            include_dirs=[(EXT / "include").as_posix()],
            depends=sorted(needed.as_posix() for needed in needs(source)),
        )
        for source in sorted(EXT.rglob("*.pyx"), key=lambda source: source.stat().st_size, reverse=True)
    ]


if __name__ == "__main__":  # processes that cythonize may import this file
    setup(
        cmdclass={"build_ext": BuildExt},
        ext_modules=cythonize(
            extensions(),
            nthreads=os.cpu_count() or 1,
            include_path=[str(EXT)],
            build_dir="build/cython",
            compiler_directives=DIRECTIVES,
        ),
    )
