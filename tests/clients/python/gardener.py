"""An operator as its users write one: a Bed of plants becomes a Deployment and says how it fares."""

import kopf
from kubernetes import client, config

from cluster import IMAGE


@kopf.on.startup()
def connect(settings, **_):
    config.load_kube_config()
    settings.persistence.finalizer = "gardens.example.com/gardener"


@kopf.on.create("gardens.example.com", "v1", "beds")
def plant(body, spec, name, namespace, patch, **_):
    labels = {"bed": name}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": spec["plants"],
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "plant", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
                                    "command": ["sleep", "3600"]}],
                },
            },
        },
    }
    kopf.adopt(deployment)
    client.AppsV1Api().create_namespaced_deployment(namespace, deployment)
    patch.status["phase"] = "Planted"
    kopf.info(body, reason="Planted", message="the plants are in the ground")
    return {"deployment": name}


@kopf.on.field("gardens.example.com", "v1", "beds", field="spec.plants")
def replant(body, old, new, name, namespace, retry, **_):
    if old is None:
        return
    if retry == 0:
        # A type of its own, which the older kind of event may have.
        kopf.event(body, type="Error", reason="Wet", message="the ground is wet")
        raise kopf.TemporaryError("the ground is wet", delay=0.5)
    client.AppsV1Api().patch_namespaced_deployment_scale(name, namespace, {"spec": {"replicas": new}})


@kopf.on.event("apps", "v1", "deployments", labels={"bed": kopf.ABSENT}, annotations={"no": kopf.PRESENT})
def unused(**_):
    raise AssertionError("no Deployment of this test is annotated so")


@kopf.on.delete("gardens.example.com", "v1", "beds")
def clear(name, namespace, **_):
    body = {"metadata": {"name": f"{name}-cleared"}}
    client.CoreV1Api().create_namespaced_config_map(namespace, body)


@kopf.timer("gardens.example.com", "v1", "beds", interval=0.5)
def water(name, status, patch, **_):
    patch.status["watered"] = min(status.get("watered", 0) + 1, 3)
