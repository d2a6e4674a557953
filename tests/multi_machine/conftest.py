"""The deployment of the compose file on this machine, brought up once, and its capture folders."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage

import pytest
import yaml
from aiosmtpd.controller import Controller

from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.schema import create_table
from anonymisation.database.target import open_target
from scripts.airflow_stack import free_port
from tests.captures import capture, require_whole_files
from tests.database.postgres_cluster import NotInstalledError, PostgresCluster, running_cluster
from tests.masking.scripted_models import save_one_car
from tests.multi_machine.celery_stack import CeleryStack
from tests.smtp_catcher import Catcher

DAG_ID = "anonymise_captures"
CONFIGURATION = {
    "tiles": False, "remote_json": True, "write_exif_to_db": True,
    "finished_email": True, "processing_error_email": True, "uncaught_exception_email": True,
    "email_from_address": "airflow@roads.example", "email_to_addresses": ["operator@roads.example"],
}  # fmt: skip
RUN_SECONDS = 1800.0  # a busy machine; a quiet one needs a tenth


@dataclass(frozen=True)
class Deployment:
    """The stack and what a test asks of it."""

    stack: CeleryStack
    cluster: PostgresCluster
    mails: list[EmailMessage]

    def put(self, folder: str, count: int) -> list[str]:
        """Lay so many pictures into a capture folder; their names."""
        place = self.stack.captures / folder
        place.mkdir(parents=True)
        names = [f"{folder.replace('/', '_')}_{number:04d}.jpg" for number in range(count)]
        for number, name in enumerate(names):
            (place / name).write_bytes(capture(number, name))
        return names

    def written(self, share: str, folder: str) -> dict[str, int]:
        """The pictures of a folder on a share, each with the time at which it was written (ns)."""
        place = self.stack.captures.parent / share / folder
        return {path.name: path.stat().st_mtime_ns for path in place.glob("*.jpg")}

    def trigger(self, run_id: str) -> None:
        """Start a run that takes the folders below the folder of its own name."""
        self.stack.api.trigger(DAG_ID, run_id, {"folders": [run_id]})

    def mails_of(self, run_id: str) -> list[str]:
        """The text of each mail that names the run's page, in the order of arrival."""
        texts = [str(part.get_content()) for mail in self.mails if (part := mail.get_body(("plain",))) is not None]
        return [text for text in texts if f"/runs/{run_id}" in text]

    def tries(self, run_id: str, task: str) -> list[int]:
        """How often each of the tasks of that name was tried."""
        found = self.stack.api.task_instances(DAG_ID, run_id)
        return [int(item["try_number"]) for item in found if item["task_id"].endswith(task)]

    def require_done(self, run_id: str, folders: dict[str, list[str]]) -> None:
        """The run ends well, and every picture is whole, in each place once, and as it was in the archive."""
        assert self.stack.api.wait_for_run(DAG_ID, run_id, RUN_SECONDS) == "success"
        shares = self.stack.captures.parent
        require_whole_files(shares / "masked", shares / "archive")
        table = {row["folder"]: row for row in self.stack.api.xcom(DAG_ID, run_id, "summary", "table")}
        for folder, names in folders.items():
            assert sorted(self.written("masked", folder)) == names
            assert sorted(self.written("archive", folder)) == names
            for name in names:
                original = (self.stack.captures / folder / name).read_bytes()
                assert (shares / "archive" / folder / name).read_bytes() == original
            assert self.rows(names) == names
            row = table[folder]
            assert (row["found"], row["masked"] + row["already_done"]) == (len(names), len(names))
            assert (row["failed"], row["error"]) == (0, None)
            assert not list((shares / "masked_error" / folder).rglob("*.jpg"))

    def rows(self, names: list[str]) -> list[str]:
        """The file names of these pictures as often as they stand in the database, sorted."""
        with self.cluster.connect() as connection:
            asked = 'SELECT Filnavn FROM PICTURES WHERE Filnavn = ANY(%s) ORDER BY Filnavn COLLATE "C"'
            return [str(name) for (name,) in connection.execute(asked, [names]).fetchall()]


def wait_until(happened: Callable[[], bool], what: str, seconds: float = RUN_SECONDS) -> None:
    """Look until it happened.

    Raises:
        TimeoutError: it did not.
    """
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.05)


@pytest.fixture(scope="session")
def celery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Airflow with a worker `gpu-1` on the queue of the GPU and `default-1` on the other."""
    if not shutil.which("redis-server"):
        pytest.skip("needs redis-server: run scripts/install_test_services.sh as root (Debian: redis-server)")
    root = tmp_path_factory.mktemp("machines") / "stack"
    (root / "config").mkdir(parents=True)
    content = {**CONFIGURATION, "model_type": str(save_one_car(root.parent / "model"))}
    (root / "config/config.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    catcher = Catcher()
    server = Controller(catcher, hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        with running_cluster() as cluster:
            _allow_connections(cluster)
            create_table(open_target(cluster.url, load_layout("PICTURES")))
            stack = CeleryStack(root, cluster, server.port)
            try:
                stack.start(DAG_ID)
                stack.api.unpause(DAG_ID)
                stack.start_worker("gpu-worker", "gpu-1")
                stack.start_worker("worker", "default-1")
                yield Deployment(stack, cluster, catcher.mails)
            finally:
                stack.stop()
    except NotInstalledError as error:
        pytest.skip(str(error))
    finally:
        server.stop()


def _allow_connections(cluster: PostgresCluster) -> None:
    with cluster.connect() as connection:
        connection.execute("ALTER SYSTEM SET max_connections = 150")
    cluster.stop()
    cluster.start()
