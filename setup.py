"""Compiled parts of fovideo: every ext/fovideo/**/*.pyx becomes the module of the same path in fovideo/."""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

EXT = Path("ext")
HEADERS = sorted(str(p) for pattern in ("*.h", "*.c", "*.pxd", "*.pyx") for p in EXT.rglob(pattern))


def extensions() -> list[Extension]:
    return [
        Extension(
            ".".join(source.relative_to(EXT).with_suffix("").parts),
            sources=[str(source)],
            include_dirs=[str(EXT / "include")],
            depends=HEADERS,
            extra_compile_args=["-O3", "-std=c11", "-Wall", "-Wno-unused-function"],
        )
        for source in sorted(EXT.rglob("*.pyx"))
    ]


setup(
    ext_modules=cythonize(
        extensions(),
        include_path=[str(EXT)],
        build_dir="build/cython",
        compiler_directives={"language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True},
    )
)
