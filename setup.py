"""Compiled parts of fovideo: every ext/fovideo/**/*.pyx becomes the module of the same path in fovideo/."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

EXT = Path("ext")
HEADERS = sorted(p.as_posix() for pattern in ("*.h", "*.c", "*.pxd", "*.pyx") for p in EXT.rglob(pattern))
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


def extensions() -> list[Extension]:
    return [
        Extension(
            ".".join(source.relative_to(EXT).with_suffix("").parts),
            sources=[source.as_posix()],
            include_dirs=[(EXT / "include").as_posix()],
            depends=HEADERS,
        )
        for source in sorted(EXT.rglob("*.pyx"))
    ]


setup(
    cmdclass={"build_ext": BuildExt},
    ext_modules=cythonize(
        extensions(),
        include_path=[str(EXT)],
        build_dir="build/cython",
        compiler_directives=DIRECTIVES,
    ),
)
