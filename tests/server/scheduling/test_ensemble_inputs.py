"""Ensembles with optional inputs: which may be missing, as Triton 2.51 has it."""

from __future__ import annotations

import pytest

from tests.contract.test_optional_inputs import CODE
from tests.server.conftest import RepositoryMaker, fp32
from tests.server.scheduling.test_ensemble import Serve
from tritonclient import messages as m
from tritonclient.errors import InvalidArgument

OUTPUT = 'output { name: "OUT" data_type: TYPE_STRING dims: 1 }'


def inputs(optional: str) -> str:
    """Return inputs A to D of a configuration, some of them optional."""
    return " ".join(
        f'input {{ name: "{name}" data_type: TYPE_FP32 dims: 1 '
        f"optional: {str(name in optional).lower()} }}"
        for name in "ABCD"
    )


def add_ensemble(repository: RepositoryMaker, optional: str) -> None:
    """Add a model that needs A and B, and an ensemble of it with its own optional inputs."""
    repository.python("model", CODE, f'backend: "python" {inputs("CD")} {OUTPUT}')
    mapped = " ".join(f'input_map {{ key: "{name}" value: "{name}" }}' for name in "ABCD")
    config = f"""
      platform: "ensemble" {inputs(optional)} {OUTPUT}
      ensemble_scheduling {{
        step {{
          model_name: "model" model_version: -1 {mapped} output_map {{ key: "OUT" value: "OUT" }}
        }}
      }}
    """
    (repository.directory / "it" / "1").mkdir(parents=True)
    (repository.directory / "it" / "config.pbtxt").write_text(config)


def request(names: str) -> m.Infer:
    return m.Infer("it", tuple(fp32(name, [1]) for name in names))


@pytest.mark.parametrize(
    ("optional", "names"),
    [("BD", "AC"), ("BD", "ACD"), ("BD", "ABC"), ("ABCD", "CD"), ("", "ABCD")],
)
def test_optional_inputs_may_be_missing(
    repository: RepositoryMaker, serve: Serve, optional: str, names: str
) -> None:
    add_ensemble(repository, optional)
    data = serve().handle(request(names)).outputs[0].data
    assert bytes(data or b"")[4:].decode() == names


@pytest.mark.parametrize(
    ("names", "missing"), [("AB", "'C'"), ("BCD", "'A'"), ("BD", "'A', 'C'"), ("CD", "'A'")]
)
def test_required_inputs_may_not(
    repository: RepositoryMaker, serve: Serve, names: str, missing: str
) -> None:
    add_ensemble(repository, "BD")
    with pytest.raises(InvalidArgument, match=f"unexpected deadlock.*'model' needs {missing}, "):
        serve().handle(request(names))


def test_the_inputs_of_a_step_are_counted(repository: RepositoryMaker, serve: Serve) -> None:
    add_ensemble(repository, "ABCD")
    with pytest.raises(InvalidArgument, match="between 2 and 4 but got 1 inputs for model 'model'"):
        serve().handle(request("A"))
