"""Builds the optional compiled accelerator of the worker (one binary for every CPython, see docs/decisions)."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "homeport.worker._accelerator",
            sources=["src/homeport/worker/_accelerator.c"],
            define_macros=[("Py_LIMITED_API", "0x03060000")],
            extra_compile_args=["-O2", "-Wall", "-Wextra"],
            py_limited_api=True,
            optional=True,
        )
    ]
)
