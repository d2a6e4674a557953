"""Workers on several machines, as the compose file deploys them, when the power of one goes in mid-folder.

Real Redis, and real PostgreSQL both for Airflow and for the records; only the model is a stand-in. After each fault:
nothing twice, nothing lost, nothing half-written, and the run ends.
"""

from __future__ import annotations

import pytest

from tests.multi_machine.conftest import DAG_ID, Deployment, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
COUNT = 150


def test_a_gpu_machine_that_dies_in_mid_folder_leaves_its_folder_to_another(celery: Deployment) -> None:
    folder = "gpu/F1_2021_06_01"
    names = celery.put(folder, COUNT)
    celery.trigger("gpu")
    wait_until(lambda: len(celery.written("masked", folder)) >= 3, "first pictures")

    killed = celery.stack.kill("gpu-1")
    before = celery.written("masked", folder)
    assert killed >= 3  # the worker, the one who supervises the task, and the task
    assert 0 < len(before) < COUNT
    celery.stack.start_worker("gpu-worker", "gpu-2")

    celery.require_done("gpu", {folder: names})
    assert celery.tries("gpu", "mask") == [2]
    after = celery.written("masked", folder)
    assert {name: after[name] for name in before} == before
    queues = (("gpu-2", "folder.mask", "folder.archive"), ("default-1", "folder.archive", "folder.mask"))
    for machine, own, other in queues:
        log = celery.stack.log(machine)
        assert own in log
        assert other not in log


def test_a_scheduler_that_dies_finds_the_work_going_on_when_it_is_back(celery: Deployment) -> None:
    folder = "scheduler/F1_2021_06_02"
    names = celery.put(folder, COUNT)
    celery.trigger("scheduler")
    wait_until(lambda: len(celery.written("masked", folder)) >= 3, "first pictures")

    celery.stack.kill("scheduler")
    wait_until(lambda: len(celery.written("masked", folder)) == COUNT, "the worker goes on alone")
    celery.stack.start_service("scheduler")

    celery.require_done("scheduler", {folder: names})
    assert celery.tries("scheduler", "mask") == [1]


def test_a_machine_that_dies_while_it_archives_leaves_no_half_copies(celery: Deployment) -> None:
    folder = "archive/F1_2021_06_03"
    names = celery.put(folder, 2 * COUNT)
    celery.trigger("archive")
    wait_until(lambda: len(celery.written("archive", folder)) >= 3, "first copies")

    celery.stack.kill("default-1")
    before = celery.written("archive", folder)
    assert 0 < len(before) < 2 * COUNT
    celery.stack.start_worker("worker", "default-2")

    celery.require_done("archive", {folder: names})
    assert celery.tries("archive", "archive") == [2]
    after = celery.written("archive", folder)
    assert {name: after[name] for name in before} == before


def test_what_a_dead_machine_never_acknowledged_is_not_done_when_it_is_delivered_again(celery: Deployment) -> None:
    """As Redis does after the visibility timeout, two days later: the messages of the two machines that died."""
    broker = celery.stack.broker
    wait_until(lambda: broker.zcard("unacked_index") == 2, "all but the dead have acknowledged")
    waiting = broker.zrange("unacked_index", 0, -1)
    finished = {run: celery.stack.api.task_instances(DAG_ID, run) for run in ("gpu", "archive")}
    written = {share: celery.written(share, "gpu/F1_2021_06_01") for share in ("masked", "archive")}

    broker.zadd("unacked_index", dict.fromkeys(waiting, 0))
    wait_until(lambda: broker.zcard("unacked_index") == 0, "both messages delivered again and acknowledged")

    assert {run: celery.stack.api.task_instances(DAG_ID, run) for run in finished} == finished
    assert {share: celery.written(share, "gpu/F1_2021_06_01") for share in written} == written


def test_the_health_check_of_a_worker_tells_the_living_from_the_dead(celery: Deployment) -> None:
    wait_until(lambda: celery.stack.answers("gpu-worker", "gpu-2"), "the living answers")
    assert not celery.stack.answers("gpu-worker", "gpu-1")
