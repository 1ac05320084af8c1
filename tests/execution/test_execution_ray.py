"""A cluster of this machine that dies costs the calls that are under way, not what follows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

from benchmarks.experiments.speed.chaos import WORKERS, begun_by
from nat_plugin.errors import NATError
from nat_plugin.execution import cluster
from nat_plugin.execution.choosing import find_executor
from nat_plugin.execution.cluster import ClusterRoom
from nat_plugin.execution.ray import RayExecutor, RaySettings
from nat_plugin.plugins import plugins
from tests.execution.calls import Unreadable, answer_of, square


def test_where_ray_itself_dies_it_is_begun_anew_and_no_other_command_joins_it(tmp_path: Path) -> None:
    """In a process of its own: others may have a cluster in theirs."""
    call = [sys.executable, "-m", "tests.execution.test_execution_ray", str(tmp_path)]
    done = subprocess.run(call, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300)
    said = done.stdout.splitlines()
    assert (said[0], said[-4:]) == ("no worker", ["LocalRayletDiedError", "1", "49", "alone"]), done.stderr


def test_a_task_that_no_node_can_take_is_a_line_at_once_or_where_the_cluster_may_grow_a_while_later() -> None:
    node = {"Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0}}
    dead = {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}
    nodes = [node, dead]
    assert ClusterRoom(lambda: nodes, {"CPU": 1, "GPU": 0}, 0).places() == 4
    assert ClusterRoom(lambda: [*nodes, node], {"CPU": 1, "GPU": 0.5}, 0).places() == 4
    with pytest.raises(NATError, match=r"no node of the Ray cluster has 1 CPU and 2 GPU: lower executor\.cpus or"):
        ClusterRoom(lambda: nodes, {"CPU": 1, "GPU": 2}, 0).places()
    assert ClusterRoom(lambda: nodes, {"CPU": 1, "GPU": 2}, 60).places() == 0


def test_a_node_that_was_there_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "LOOK", 0.0)
    nodes = [{"Alive": True, "Resources": {"CPU": 1.0}}]
    room = ClusterRoom(lambda: nodes, {"CPU": 1}, 0)
    assert room.places() == 1
    nodes[0]["Alive"] = False
    assert room.places() == 0
    monkeypatch.setattr(cluster, "TO_GROW", 0.0)
    nodes[0]["Alive"] = True
    assert room.places() == 1
    nodes[0]["Alive"] = False
    with pytest.raises(NATError, match="no node of the Ray cluster has 1 CPU"):
        room.places()


def test_the_nodes_of_a_cluster_are_asked_for_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def nodes() -> list[dict[str, Any]]:
        asked.append(1)
        return [{"Alive": True, "Resources": {"CPU": 1.0}}]

    room = ClusterRoom(nodes, {"CPU": 1}, 0)
    assert [room.places() for _ in range(100)] == [1] * 100
    assert len(asked) == 1
    monkeypatch.setattr(cluster, "LOOK", 0.0)
    assert (room.places(), len(asked)) == (1, 2)


def test_what_ray_cannot_keep_costs_its_call_or_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def full(*_: object) -> None:
        raise ray.exceptions.ObjectStoreFullError("no room\nfor 9 GB")

    with find_executor("ray", RaySettings(workers=1, retries=0), tmp_path, plugins()) as executor:
        assert isinstance(executor, RayExecutor)
        for name in ("ObjectLostError", "ObjectFetchTimedOutError", "RaySystemError", "RuntimeEnvSetupError"):
            assert issubclass(getattr(ray.exceptions, name), executor.lost)
        assert answer_of(executor, "", square, Unreadable()).lost is not None
        monkeypatch.setattr(ray, "put", full)
        with pytest.raises(NATError, match=r"cannot store what all workers need: ObjectStoreFullError: .*no room for"):
            executor.share({})


def test_a_node_that_is_slow_to_begin_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On busy cores it takes longer than the half minute after which Ray gives up."""
    import ray

    late, began = ["not", "yet"], []

    def look(*asked: str) -> dict[str, str]:
        if late:
            raise RuntimeError(late.pop())
        return dict([asked])

    def init(**given: object) -> None:
        began.append(ray._private.services.get_node("gcs", "node"))  # type: ignore[attr-defined]
        raise ConnectionError("after the node")

    monkeypatch.setattr(ray._private.services, "get_node", look)  # type: ignore[attr-defined]
    _without_cluster(monkeypatch, tmp_path, init)
    with pytest.raises(NATError, match="after the node"):
        find_executor("ray", RaySettings(), tmp_path, plugins())
    assert began == [{"gcs": "node"}] * 3
    assert ray._private.services.get_node is look  # type: ignore[attr-defined]


def test_a_cluster_that_does_not_begin_is_begun_again_and_then_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def slow(**given: object) -> None:
        tries.append(given["address"])
        raise Exception("The current node timed out\nduring startup.")

    _without_cluster(monkeypatch, tmp_path, slow)
    with pytest.raises(NATError, match=r"on this machine, 3 times: The current node timed out during startup\.$"):
        find_executor("ray", RaySettings(), tmp_path, plugins())
    assert tries == ["local"] * 3


def test_a_cluster_that_is_asked_for_and_does_not_answer_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that merely ran here once is not asked for."""
    asked = []

    def none(**given: object) -> None:
        asked.append(given["address"])
        raise ConnectionError("nobody\nthere")

    _without_cluster(monkeypatch, tmp_path, none)
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("10.77.0.1:6399")
    with pytest.raises(NATError, match="on this machine, 3 times: nobody there"):
        find_executor("ray", RaySettings(), tmp_path, plugins())
    assert asked == ["10.77.0.1:6399", *["local"] * 3]
    monkeypatch.setenv("RAY_ADDRESS", "10.77.0.2:6399")
    for settings in (RaySettings(), RaySettings(address="10.77.0.2:6399")):
        with pytest.raises(NATError, match=r"no Ray cluster answers at 10\.77\.0\.2:6399: nobody there"):
            find_executor("ray", settings, tmp_path, plugins())


def _without_cluster(monkeypatch: pytest.MonkeyPatch, folder: Path, init: Callable[..., None]) -> None:
    """As where no cluster runs, and Ray begins one by ``init``."""
    import ray

    for name, does in {"init": init, "is_initialized": bool, "shutdown": lambda: None}.items():
        monkeypatch.setattr(ray, name, does)
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def _main(folder: Path) -> None:
    with find_executor("ray", RaySettings(workers=1), folder, plugins()) as executor:
        there = begun_by(os.getpid(), WORKERS["ray"])  # where one is waited for, its death is the end
        print("a worker" if there else "no worker")
        executor.submit(square, 1).result()
        assert begun_by(os.getpid(), WORKERS["ray"])
        lines = subprocess.run(
            ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
        )
        for line in lines.stdout.splitlines():
            if "raylet/raylet " in line:
                os.kill(int(line.split()[0]), signal.SIGKILL)
        print(type(executor.submit(square, 2).exception()).__name__)
        cluster.LOOK = 0.0
        print(executor.workers)
        print(executor.submit(square, 7).result())
        call = [sys.executable, "-m", "tests.execution.test_execution_ray", str(folder), _nodes()]
        print(subprocess.run(call, capture_output=True, text=True).stdout.splitlines()[-1])


def _nodes() -> str:
    import ray

    return str([each["NodeID"] for each in ray.nodes()])


def _join(folder: Path, nodes: str) -> None:
    with find_executor("ray", RaySettings(workers=1), folder, plugins()):
        print("together" if _nodes() == nodes else "alone")


if __name__ == "__main__":
    _main(Path(sys.argv[1])) if len(sys.argv) == 2 else _join(Path(sys.argv[1]), sys.argv[2])
