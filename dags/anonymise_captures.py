"""### Hides every person and vehicle in the pictures of new capture folders

Each night `discover` lists the capture folders that have something left to do. Each of them then goes, beside the
others, through five steps of its own:

| step | does | worth knowing |
|---|---|---|
| mask | hides people and vehicles; writes picture, mask and record | in the pool and on the queue of the GPU |
| archive | copies the originals, verified by checksum | only where an archive folder is given |
| load | brings the records into the database | only with `write_exif_to_db` |
| check | compares input, output, archive and database | names every gap |
| release | removes the originals that are safe | only with `delete_input`; **red when pictures failed** |

A folder with more pictures than `max_pictures_per_work_unit` is split into parts, each with a chain of its own, so that
several GPUs share it; summary and mail tell of it as one. A folder that fails stops no other. When only some of its
pictures fail, the others go through every step, and the red `release` names those that failed. `summary` runs at the
very end whatever happened: it writes and mails what was done, and then fails the run if a folder, or the discovery,
failed. More folders than one run takes go on in another run, which `next_part` triggers.

**By hand**: *Trigger* shows a form; without any change it takes everything at once; with *Dry run* it only lists what
it would do. **One date again**: *Backfill* from that day 00:00 to that day 23:59 takes the folders captured on that
date; with *Mask again* also what is done. **After a failure**: clear the red task; every step goes on from what stands
on disk, and nothing is done twice. **A restart** of a scheduler or a worker needs nothing: tasks that died with it are
begun again, and go on from there too.

What a deployment sets, by environment variables, is listed in `plugins/anonymisation_airflow/deployment.py`.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import (
    DAG,
    AsyncCallback,
    CronPartitionTimetable,
    DeadlineAlert,
    TriggerRule,
    task,
    task_group,
)

from anonymisation_airflow import deadline, notifier, summary, tasks
from anonymisation_airflow.deployment import Deployment
from anonymisation_airflow.next_part import NextPartOperator
from anonymisation_airflow.request import KEY_FORMAT, form
from anonymisation_airflow.retries import retry_policy

deployment = Deployment.from_environment()
nightly = deployment.schedule and CronPartitionTimetable(
    deployment.schedule, timezone=deployment.timezone, key_format=KEY_FORMAT
)
late = deployment.deadline and DeadlineAlert(
    reference=deadline.NightBegan(),
    interval=deployment.deadline,
    callback=AsyncCallback(deadline.run_is_late),
)
each_folder: dict[str, Any] = {"map_index_template": "{{ folder_name }}"}
on_gpu: dict[str, Any] = {
    "pool": deployment.pool,
    "queue": deployment.queue,
    "executor_config": deployment.gpu_executor_config,
}

with DAG(
    dag_id="anonymise_captures",
    description="Hides people and vehicles in capture folders, archives, loads, checks and releases them.",
    doc_md=__doc__,
    schedule=nightly,
    catchup=False,
    max_active_runs=1,
    params=form(),
    deadline=late,
    tags=["anonymisation"],
    default_args={
        "retries": deployment.retries,
        "retry_delay": deployment.retry_delay,
        "retry_exponential_backoff": True,
        "retry_policy": retry_policy(),
        "on_failure_callback": notifier.task_failed,
    },
):

    @task_group(group_id=tasks.GROUP)
    def folder_chain(unit: dict[str, Any]) -> None:
        mask = task(**each_folder, **on_gpu)(tasks.mask)(unit)
        archive = task(**each_folder)(tasks.archive)(unit)
        load = task(**each_folder)(tasks.load)(unit)
        check = task(**each_folder)(tasks.check)(unit)
        release = task(**each_folder)(tasks.release)(unit)
        mask >> archive >> load >> check >> release

    discover = task(task_id=tasks.DISCOVER)(tasks.find_folders)()
    next_part = NextPartOperator(task_id=tasks.NEXT_PART)
    finish = task(task_id="summary", trigger_rule=TriggerRule.ALL_DONE, retries=0)(summary.summarise)()

    folders = folder_chain.expand(unit=discover)
    discover >> [next_part, folders] >> finish
    discover >> finish
