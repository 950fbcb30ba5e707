import pytest
from click.testing import CliRunner

from windlass.cli.cluster import Cluster, issue_identities
from windlass.cli.datadir import DataDir
from windlass.cli.main import cli, main
from windlass.errors import ConfigError, PluginError


def test_version():
    assert CliRunner().invoke(cli, ["version"]).output.startswith("windlass ")


@pytest.mark.parametrize("store", ["etcd://x", "zookeeper://", "../x"])
def test_up_refuses_an_unknown_store_before_anything_is_made(store, tmp_path):
    result = CliRunner().invoke(cli, ["up", "--store", store, "--data-dir", str(tmp_path / "d")])
    assert result.exit_code == 2
    assert "sqlite, memory or zookeeper://" in result.output
    assert not (tmp_path / "d").exists()


def test_kubeconfig_without_a_cluster_says_what_to_do(tmp_path):
    result = CliRunner().invoke(cli, ["kubeconfig", "--data-dir", str(tmp_path)])
    assert isinstance(result.exception, ConfigError)
    assert "windlass up" in str(result.exception)


def test_our_errors_are_one_line(capsys):
    def run(prog_name):
        raise ConfigError("what, where, why")

    with pytest.raises(SystemExit, match="1"):
        main(run)
    assert capsys.readouterr().err == "windlass: what, where, why\n"


def test_identities_of_a_cluster(tmp_path):
    data_dir = DataDir(tmp_path / "d")
    data_dir.prepare()
    cluster = Cluster("sqlite", "hollow", 6443, "n1", "127.0.0.1", "10.244.0.0/24")
    issue_identities(data_dir, cluster)
    cluster.save(data_dir)
    assert Cluster.load(data_dir) == cluster
    result = CliRunner().invoke(cli, ["kubeconfig", "--data-dir", str(data_dir.root)])
    assert result.output.strip() == str(data_dir.kubeconfig("admin"))


def test_status_without_a_cluster_exits_1(tmp_path):
    result = CliRunner().invoke(cli, ["status", "--data-dir", str(tmp_path)])
    assert (result.exit_code, "windlass up" in result.output) == (1, True)


def test_up_refuses_a_runtime_that_is_not_installed_before_anything_is_made(tmp_path):
    result = CliRunner().invoke(cli, ["up", "--runtime", "nosuch", "--data-dir", str(tmp_path / "d")])
    assert isinstance(result.exception, PluginError)
    assert "choose from auto, docker, hollow, process" in str(result.exception)
    assert not (tmp_path / "d").exists()


def test_down_where_nothing_ran_is_harmless(tmp_path):
    data_dir = DataDir(tmp_path / "d")
    data_dir.prepare()
    Cluster("sqlite", "nosuch", 6443, "n1", "127.0.0.1", "10.244.0.0/24").save(data_dir)
    for arguments in ([], [], ["--purge"]):
        result = CliRunner().invoke(cli, ["down", "--data-dir", str(data_dir.root), *arguments])
        assert result.exit_code == 0, result.output
    assert not data_dir.root.exists()
