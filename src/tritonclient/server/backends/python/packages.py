"""`ModelPackage`: a version's directory as a Python package of its own, under a unique name."""

from __future__ import annotations

import builtins
import importlib.util
import itertools
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import (
    SOURCE_SUFFIXES,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
)
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from . import standing_in

_numbers = itertools.count(1)
#: Held while packages are opened and closed.
_lock = threading.Lock()


class ModelPackage:
    """The package of an instance; `close` takes its modules out of `sys.modules` again.

    Modules import those beside them as `from .helper import f` or `import helper`, at any time.
    Both give the module `PACKAGE.helper`, which other models do not see.

    Args:
        home: the directory of the model's version.
        own: modules that only this model's code imports, by name; beside them it has `signal`
            and `importlib` of its own.
        shared: what all other code imports under these names while a model is loaded.
        name: the name of the package; by default one that no other has.
    """

    def __init__(
        self,
        home: Path,
        own: Mapping[str, ModuleType],
        shared: Mapping[str, ModuleType],
        name: str = "",
    ) -> None:
        self.name = name or f"triton_model_{next(_numbers)}"
        self.home = str(home)
        self._own = {
            "signal": standing_in.signals(),
            "importlib": standing_in.importing(self._own_module),
            **own,
        }
        self._shared = dict(shared)
        self.builtins = {**vars(builtins), "__import__": self._import}
        with _lock:
            _open[self.name] = self
            if _finder not in sys.meta_path:
                sys.meta_path.insert(0, _finder)
            for name, module in self._shared.items():
                sys.modules.setdefault(name, module)
        importlib.invalidate_caches()

    def load(self, path: Path) -> ModuleType:
        """Return a new module made from a file of this package."""
        self.start()
        module = self._execute(f"{self.name}.{path.stem}", path)
        setattr(sys.modules[self.name], path.stem, module)
        return module

    def start(self) -> None:
        """Make the module of the package itself."""
        start = Path(self.home, "__init__.py")
        if start.exists():
            self._execute(self.name, start, [self.home])
        else:
            spec = ModuleSpec(self.name, None, is_package=True)
            spec.submodule_search_locations = [self.home]
            sys.modules[self.name] = importlib.util.module_from_spec(spec)

    def _execute(self, name: str, path: Path, search: list[str] | None = None) -> ModuleType:
        loader = _SourceLoader(name, str(path), self)
        spec = importlib.util.spec_from_file_location(
            name, path, loader=loader, submodule_search_locations=search
        )
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        loader.exec_module(module)
        return module

    def close(self) -> None:
        """Forget the modules of this package."""
        with _lock:
            _open.pop(self.name, None)
            for name, module in list(sys.modules.items()):
                if self.has(name) or self.has(getattr(module, "__name__", None)):
                    del sys.modules[name]
            if _open:
                return
            if _finder in sys.meta_path:
                sys.meta_path.remove(_finder)
            for name, module in self._shared.items():
                if sys.modules.get(name) in (module, self._own.get(name)):
                    del sys.modules[name]

    def share(self) -> None:
        """Give all other code the shared modules again."""
        with _lock:
            for name, module in self._shared.items():
                if _open:
                    sys.modules[name] = module
                else:
                    sys.modules.pop(name, None)

    def forget_plain_names(self) -> None:
        """Leave the names that `importlib.import_module` gave to modules to other models."""
        for name, module in list(sys.modules.items()):
            if self.has(getattr(module, "__name__", None)) and not self.has(name):
                del sys.modules[name]

    def has(self, name: object) -> bool:
        """Return True for the name of a module of this package."""
        return isinstance(name, str) and f"{name}.".startswith(f"{self.name}.")

    def finds(self, name: str) -> bool:
        """Return True if a top-level name means a module of this package."""
        if f"{self.name}.{name}" in sys.modules:
            return True
        if name in sys.stdlib_module_names:
            return False
        spec = PathFinder.find_spec(name, [self.home])
        if spec is None:
            return False
        # A folder without __init__.py stands behind installed packages, as on sys.path.
        if spec.origin is not None:
            return True
        return name not in sys.modules and PathFinder.find_spec(name) is None

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Import for the code of this package: its own modules before those of `sys.path`."""
        top = name.partition(".")[0]
        if not level and top in self._own:
            own = self._own[top]
            if not isinstance(own, standing_in.StandIn):
                return own
            found = builtins.__import__(name, globals, locals, fromlist or ())
            return found if fromlist and name != top else own
        if level or not self.finds(top):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        # With a list of names the last module is returned, without one the first.
        module = builtins.__import__(f"{self.name}.{name}", globals, locals, fromlist or ("",))
        return module if fromlist else sys.modules[f"{self.name}.{top}"]

    def _own_module(self, name: str) -> ModuleType | None:
        """Return the module that `importlib.import_module` gives to the code of this package.

        It is not left under its plain name, where other models would find it.
        """
        top = name.partition(".")[0]
        if name in self._own:
            return self._own[name]
        return importlib.import_module(f"{self.name}.{name}") if self.finds(top) else None


_open: dict[str, ModelPackage] = {}


class _SourceLoader(SourceFileLoader):
    """Executes a file of a package; writes no bytecode into the model repository."""

    def __init__(self, name: str, path: str, package: ModelPackage) -> None:
        super().__init__(name, path)
        self._package = package

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._package.builtins
        exec(self.get_code(module.__name__), module.__dict__)


class _PlainNameLoader(Loader):
    """Gives a module of a package under its name without the package."""

    def __init__(self, real_name: str) -> None:
        self._real_name = real_name

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(self._real_name)


class _Finder(MetaPathFinder):
    """Finds modules of packages, also for libraries that a model's code calls."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top, _, rest = fullname.partition(".")
        if top in _open:
            return _source_spec(_open[top], fullname, path)
        if rest:
            parent = sys.modules.get(fullname.rpartition(".")[0])
            package = _open.get(getattr(parent, "__name__", "").partition(".")[0])
        else:
            package = _importer(fullname)
        if package is None:
            return None
        return ModuleSpec(fullname, _PlainNameLoader(f"{package.name}.{fullname}"))


def _source_spec(package: ModelPackage, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    spec = PathFinder.find_spec(name, path)
    if spec is not None and spec.origin and spec.origin.endswith(tuple(SOURCE_SUFFIXES)):
        spec.loader = _SourceLoader(name, spec.origin, package)
    return spec


def _importer(name: str) -> ModelPackage | None:
    """Return the package that has this module and whose code is nearest on the stack."""
    having = [package for package in list(_open.values()) if package.finds(name)]
    frame = sys._getframe(2) if having else None
    while frame is not None:
        for package in having:
            if package.has(frame.f_globals.get("__name__")):
                return package
        frame = frame.f_back
    return None


_finder = _Finder()
