import pytest

from windlass.config import load_config
from windlass.errors import ConfigError


def test_defaults():
    assert load_config(None).plugins.allowed is None


def test_a_whole_file(tmp_path):
    path = tmp_path / "w.toml"
    path.write_text('[plugins]\nrequired = ["a"]\non_contract_error = "skip"\n[plugins.config.a]\nx = 1\n')
    plugins = load_config(path).plugins
    assert (plugins.required, plugins.on_contract_error, plugins.config["a"]["x"]) == (("a",), "skip", 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[plugin]", r"unknown section \[plugin\]"),
        ("[plugins]\nrequire = []", "unknown key plugins.require"),
        ('[plugins]\nrequired = "a"', "must be a list"),
        ('[plugins]\non_contract_error = "maybe"', "must be"),
        ("x =", "not valid TOML"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    path = tmp_path / "w.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such configuration file"):
        load_config(tmp_path / "none.toml")
