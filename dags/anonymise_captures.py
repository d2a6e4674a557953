"""### Hides every person and vehicle in the pictures of new capture folders

Each night `discover` lists the capture folders that have work left. Each folder goes through five steps of its own, in
parallel with the other folders:

| step | does | note |
|---|---|---|
| mask | hides people and vehicles; writes picture, mask and record | in the pool and on the queue of the GPU |
| archive | copies the originals and verifies the checksums | only with an archive folder |
| load | loads the records into the database | only with `write_exif_to_db` |
| check | compares input, output, archive and database | names every gap |
| release | removes the originals that are safe to remove | only with `delete_input`; **red when pictures failed** |

A folder with more pictures than `max_pictures_per_work_unit` is split into parts, so that several GPUs can share the
work. Each part has its own chain of steps; summary and mail report the folder as one. A folder that fails does not stop
other folders. When only some pictures of a folder fail, the others go through every step, and the red `release` names
the failed pictures. `summary` always runs last: it logs and mails the results, and then fails the run if a folder or
the discovery failed. If one run cannot take all folders, `next_part` triggers another run for the rest.

- **Only .jpg and .jpeg are read.** The summary counts and names pictures and videos in other formats; they are neither
  masked nor removed.
- **Manual run**: *Trigger* opens a form. Without changes, the run takes every folder at once. With *Dry run*, the run
  only lists its work.
- **One date again**: *Backfill* makes a run for every day of its range, which takes the folders captured on that day.
  With *Mask again*, it also masks finished pictures again.
- **Other DAGs** can follow the assets `anonymisation_masked_folders` and `anonymisation_loaded_rows`.
- **After a failure**: clear the red task. Every step continues from the files on disk and does nothing twice.
- **Restart** of a scheduler or a worker: nothing to do. Airflow starts the interrupted tasks again, and they continue
  from the files on disk.

`plugins/anonymisation_airflow/deployment.py` lists the environment variables of a deployment.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import (  # type: ignore[attr-defined]  # its stub file lacks the two deadline classes
    DAG,
    AsyncCallback,
    DeadlineAlert,
    TriggerRule,
    task,
    task_group,
)

from anonymisation_airflow import deadline, notifier, summary, tasks
from anonymisation_airflow.assets import LOADED, MASKED, outlet
from anonymisation_airflow.deployment import Deployment
from anonymisation_airflow.next_part import NextPartOperator
from anonymisation_airflow.request import form
from anonymisation_airflow.retries import retry_policy
from anonymisation_airflow.timetable import CaptureDays

deployment = Deployment.from_environment()
late = (
    DeadlineAlert(
        reference=deadline.NightBegan(),
        interval=deployment.deadline,
        callback=AsyncCallback(deadline.run_is_late),
    )
    if deployment.deadline
    else None
)
each_folder: dict[str, Any] = {"map_index_template": "{{ task.op_kwargs.unit | label }}"}
on_gpu: dict[str, Any] = {
    "pool": deployment.pool,
    "queue": deployment.queue,
    "executor_config": deployment.gpu_executor_config,
}

with DAG(
    dag_id="anonymise_captures",
    description="Hides people and vehicles in capture folders, archives, loads, checks and releases them.",
    doc_md=__doc__,
    schedule=CaptureDays(deployment.schedule, deployment.timezone),
    start_date=deployment.start,
    catchup=False,
    max_active_runs=1,
    params=form(),
    deadline=late,
    tags=["anonymisation"],
    user_defined_filters={"label": tasks.label},
    default_args={
        "retries": deployment.retries,
        "retry_delay": deployment.retry_delay,
        "retry_exponential_backoff": True,
        "retry_policy": retry_policy(),
        "execution_timeout": deployment.timeout,
        "on_failure_callback": notifier.task_failed,
    },
):

    @task_group(group_id=tasks.GROUP)
    def folder_chain(unit: dict[str, Any]) -> None:
        mask = task(**each_folder, **on_gpu, outlets=[outlet(MASKED)])(tasks.mask)(unit=unit)
        archive = task(**each_folder)(tasks.archive)(unit=unit)
        load = task(**each_folder, outlets=[outlet(LOADED)])(tasks.load)(unit=unit)
        check = task(**each_folder)(tasks.check)(unit=unit)
        release = task(**each_folder)(tasks.release)(unit=unit)
        mask >> archive >> load >> check >> release

    discover = task(task_id=tasks.DISCOVER)(tasks.find_folders)()
    next_part = NextPartOperator(task_id=tasks.NEXT_PART)
    finish = task(task_id="summary", trigger_rule=TriggerRule.ALL_DONE, retries=0)(summary.summarise)()

    folders = folder_chain.expand(unit=discover)
    discover >> [next_part, folders] >> finish
    discover >> finish
