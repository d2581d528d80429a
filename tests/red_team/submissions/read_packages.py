"""Imports the course's own packages and asks for their files as package data, by metadata, loaders and byte-code caches."""

import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys

MODULES = ("autograder.hidden_tests.test_attention", "autograder.hidden_tests.naive", "autograder.misconceptions.attention")
MODULES += ("reference_solutions.attention",)
sys.path += ["@ROOT@", "@ROOT@/autograder/hidden_tests", "@FOLDER@"]
sys.path_importer_cache.clear()
importlib.invalidate_caches()


def by_data(name):
    return pkgutil.get_data(name.rpartition(".")[0], name.rpartition(".")[2] + ".py")


def by_cache(name):
    path = importlib.util.cache_from_source("@ROOT@/" + name.replace(".", "/") + ".py")
    with open(path, "rb") as file:
        return file.read()


for name in MODULES:
    for way in (importlib.import_module, by_data, by_cache, importlib.util.find_spec):
        try:
            found = way(name)
        except (ImportError, OSError, AttributeError, ValueError):
            continue
        if found:
            raise SystemExit(name)
for distribution in ("transformer-course-autograder", "autograder"):
    try:
        found = importlib.metadata.files(distribution) or importlib.metadata.metadata(distribution).keys()
    except (importlib.metadata.PackageNotFoundError, OSError):
        continue
    if found:  # that it is installed may show; nothing of it may be read
        raise SystemExit(repr(found))
