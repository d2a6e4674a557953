"""The files for Kubernetes, as far as they can be judged without a cluster: every field, and the pods Airflow makes."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from anonymisation.workspace.paths import Shares
from anonymisation_airflow import deployment
from anonymisation_airflow.deployment import Deployment
from scripts.airflow_stack import ROOT
from tests.docker.compose_file import example_values, read_compose
from tests.docker.kubernetes_schema import problems

KUBERNETES: Final = ROOT / "docker" / "kubernetes"
TEMPLATES: Final = ("pod_template.yaml", "pod_template_gpu.yaml")

# The keys of the chart that values.yaml sets, as its parameter reference (1.20 to 1.22) has them: a misspelt key would
# be refused, or worse, passed over. The chart's own schema is not ours to ship. "*": what Airflow defines.
CHART: Final[dict[str, Any]] = {
    "executor": str,
    "airflowVersion": str,
    "defaultAirflowRepository": str,
    "defaultAirflowTag": str,
    "images": {"airflow": {"pullPolicy": str}, "pod_template": {"pullPolicy": str}},
    "data": {"metadataSecretName": str},
    "fernetKeySecretName": str,
    "apiSecretKeySecretName": str,
    "jwtSecretName": str,
    "postgresql": {"enabled": bool},
    "redis": {"enabled": bool},
    "pgbouncer": {"enabled": bool},
    "dags": {"persistence": {"enabled": bool}, "gitSync": {"enabled": bool}},
    "logs": {"persistence": {"enabled": bool, "existingClaim": str}},
    "extraEnvFrom": str,
    "volumes": "list[V1Volume]",
    "volumeMounts": "list[V1VolumeMount]",
    "config": "*",
    "createUserJob": {"enabled": bool},
    "scheduler": {"resources": "V1ResourceRequirements"},
    "dagProcessor": {"resources": "V1ResourceRequirements"},
    "triggerer": {"persistence": {"enabled": bool}, "resources": "V1ResourceRequirements"},
    "apiServer": {
        "resources": "V1ResourceRequirements",
        "extraInitContainers": "list[V1Container]",
        "extraVolumes": "list[V1Volume]",
        "extraVolumeMounts": "list[V1VolumeMount]",
    },
}


def _read(name: str) -> Any:
    return yaml.safe_load((KUBERNETES / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "kind"), [*((name, "V1Pod") for name in TEMPLATES), ("environment.yaml", "V1ConfigMap")]
)
def test_every_field_is_one_that_kubernetes_knows(name: str, kind: str) -> None:
    assert list(problems(_read(name), kind)) == []


def test_every_claim_is_one_that_kubernetes_knows() -> None:
    claims = _read("claims.yaml")
    assert (claims["apiVersion"], claims["kind"]) == ("v1", "List")
    for claim in claims["items"]:
        assert list(problems(claim, "V1PersistentVolumeClaim")) == []
        assert claim["spec"]["volumeName"] == claim["metadata"]["name"]


def test_the_check_finds_what_is_wrong() -> None:
    pod = _read(TEMPLATES[0])
    for broken, told in (
        (_changed(pod, "spec", "containerz", []), "no field of V1PodSpec"),
        (_changed(pod, "spec", "restartPolicy", 3), "expected str"),
        (_changed(pod, "spec", "containers", [{"image": "x"}]), "`name`"),
        (_changed(pod, "spec", "volumes", {}), "expected a list"),
    ):
        assert told in "\n".join(problems(broken, "V1Pod"))


def test_only_the_tasks_that_mask_ask_for_a_gpu_and_a_whole_one() -> None:
    asked = {name: _read(name)["spec"]["containers"][0]["resources"]["limits"] for name in TEMPLATES}
    assert "nvidia.com/gpu" not in asked[TEMPLATES[0]]
    assert asked[TEMPLATES[1]]["nvidia.com/gpu"] == "1"


def test_the_two_pods_differ_in_nothing_but_the_gpu() -> None:
    plain, gpu = (_read(name) for name in TEMPLATES)
    del gpu["spec"]["tolerations"]
    for pod in (plain, gpu):
        del pod["spec"]["containers"][0]["resources"]
        del pod["spec"]["containers"][0]["image"]
    assert plain == gpu


@pytest.mark.parametrize("name", TEMPLATES)
def test_airflow_makes_a_whole_pod_of_the_template(name: str) -> None:
    """As KubernetesExecutor does; where the configuration named an image it would take the place of the template's."""
    from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator

    own = _read("values.yaml")["config"]["kubernetes_executor"]
    assert own["worker_container_repository"] == own["worker_container_tag"] == ""
    pod = PodGenerator.construct_pod(
        dag_id="anonymise_captures", task_id="folder.mask", pod_id="mask", try_number=1, date=None,
        kube_image=None,  # type: ignore[arg-type]  # as KubernetesExecutor does
        args=["python", "-m", "airflow.sdk.execution_time.execute_workload"], pod_override_object=None,
        base_worker_pod=PodGenerator.deserialize_model_file(str(KUBERNETES / name)), namespace="anonymisation",
        scheduler_job_id="1", run_id="night", map_index=3,
    )  # fmt: skip
    made = PodGenerator.serialize_pod(pod)
    assert list(problems(made, "V1Pod")) == []
    (container,) = made["spec"]["containers"]
    template = _read(name)["spec"]["containers"][0]
    assert (container["name"], container["image"]) == ("base", template["image"])
    assert container["resources"]["limits"] == template["resources"]["limits"]
    assert container["args"][0] == "python"
    assert [variable["name"] for variable in container["env"]] == [
        "AIRFLOW__CORE__EXECUTOR",
        "AIRFLOW_IS_K8S_EXECUTOR_POD",
    ]


@pytest.mark.parametrize("name", TEMPLATES)
def test_pods_run_without_rights_and_see_every_folder_a_task_works_on(name: str) -> None:
    spec = _read(name)["spec"]
    assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["runAsNonRoot"]) == (50000, True)
    assert spec["automountServiceAccountToken"] is False
    (container,) = spec["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    mounted = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert {mount["name"] for mount in mounted.values()} == {volume["name"] for volume in spec["volumes"]}
    given = Deployment.from_environment(_read("environment.yaml")["data"])
    assert given.input is not None
    assert given.output is not None
    shares = Shares.resolve(
        given.input, given.output, given.archive, {"error_output_dir": "", "state_dir": given.state}
    )
    for role, folder in shares.roles():
        assert mounted[str(folder)].get("readOnly", False) == (role == "input"), role
    assert str(given.config).startswith("/etc/anonymisation/")
    assert "/opt/models" in mounted


def test_what_pods_mount_is_claimed_or_named_in_the_guide() -> None:
    claims = {claim["metadata"]["name"] for claim in _read("claims.yaml")["items"]}
    volumes = [volume for name in TEMPLATES for volume in _read(name)["spec"]["volumes"]]
    volumes += _read("values.yaml")["apiServer"]["extraVolumes"]
    used = {volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "persistentVolumeClaim" in volume}
    assert used == claims
    guide = (ROOT / "docs" / "operate" / "kubernetes.md").read_text(encoding="utf-8")
    for volume in volumes:
        for other in (volume.get("configMap", {}).get("name"), volume.get("secret", {}).get("secretName")):
            assert other is None or f" {other} " in guide, other


def test_the_environment_is_that_of_the_compose_file_where_both_have_it() -> None:
    ours = _read("environment.yaml")["data"]
    compose = read_compose(example_values())["services"]["scheduler"]["environment"]
    elsewhere = {"AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "AIRFLOW__SECRETS__BACKEND_KWARGS"}
    for name in (set(ours) & set(compose)) - elsewhere:
        assert ours[name] == compose[name], name
    missing = {name for name in set(compose) - set(ours) if name.startswith(deployment.PREFIX)}
    assert missing == set()
    for name in ours:
        assert not name.startswith(deployment.PREFIX) or name in (deployment.__doc__ or ""), name


def test_the_template_for_gpus_is_where_the_environment_says() -> None:
    named = Path(_read("environment.yaml")["data"]["ANONYMISATION_GPU_POD_TEMPLATE"])
    plain = Path(_read("values.yaml")["config"]["kubernetes_executor"]["pod_template_file"])
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    (target,) = re.findall(r"^COPY docker/kubernetes (\S+)$", dockerfile, re.MULTILINE)
    (workdir,) = re.findall(r"^WORKDIR (\S+)$", dockerfile, re.MULTILINE)
    assert [path.name for path in (plain, named)] == list(TEMPLATES)
    assert {path.parent for path in (plain, named)} == {Path(workdir) / target}


def test_values_set_only_keys_that_the_chart_has() -> None:
    assert list(_unknown(_read("values.yaml"), CHART, "")) == []
    assert list(_unknown({"executer": "x"}, CHART, "")) == [".executer: not known"]
    assert list(_unknown({"redis": {"enabled": "no"}}, CHART, "")) == [".redis.enabled: expected bool"]


def test_values_hold_no_secret() -> None:
    values = _read("values.yaml")
    for key in ("fernetKey", "apiSecretKey", "jwtSecret"):
        assert key not in values
        assert values[f"{key}SecretName" if key != "jwtSecret" else "jwtSecretName"]
    assert set(values["data"]) == {"metadataSecretName"}


def _changed(pod: dict[str, Any], part: str, name: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(pod)
    changed[part][name] = value
    return changed


def _unknown(value: Any, known: Any, where: str) -> list[str]:
    if isinstance(known, dict):
        found = []
        for key, item in value.items():
            found += _unknown(item, known[key], f"{where}.{key}") if key in known else [f"{where}.{key}: not known"]
        return found
    if isinstance(known, str):
        return [] if known == "*" else list(problems(value, known, where))
    return [] if isinstance(value, known) else [f"{where}: expected {known.__name__}"]
