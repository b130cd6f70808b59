"""What the programs share: a namespace of their own, and waiting for what must come."""

import time
import unittest
import uuid

from kubernetes import client, config

PATIENCE = 60
IMAGE = "docker.io/library/busybox:latest"


def eventually(question, what):
    """Asks until the answer is true, and gives the answer."""
    end = time.monotonic() + PATIENCE
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"{what}: still {answer!r} after {PATIENCE} s")
        time.sleep(0.1)


def pod(name, *command, **spec):
    """A pod of one container that ends at once when it is deleted."""
    container = {"name": "main", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": list(command)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, **spec},
    }


class InNamespace(unittest.TestCase):
    """Tests in a namespace that is gone when they end."""

    @classmethod
    def setUpClass(cls):
        config.load_kube_config()
        cls.core = client.CoreV1Api()
        cls.namespace = f"python-{uuid.uuid4().hex[:8]}"
        cls.core.create_namespace({"metadata": {"name": cls.namespace}})
        eventually(cls.has_account, "the namespace's service account")

    @classmethod
    def has_account(cls):
        accounts = cls.core.list_namespaced_service_account(cls.namespace).items
        return any(account.metadata.name == "default" for account in accounts)

    @classmethod
    def tearDownClass(cls):
        cls.core.delete_namespace(cls.namespace)

    def runs(self, name):
        """Waits until a pod is ready."""

        def ready():
            status = self.core.read_namespaced_pod(name, self.namespace).status
            return any(c.type == "Ready" and c.status == "True" for c in status.conditions or [])

        eventually(ready, f"pod {name} is ready")

    def refused(self, code, reason, call, *arguments, **named):
        """A call that the server must refuse; gives what it said."""
        import json

        with self.assertRaises(client.ApiException) as caught:
            call(*arguments, **named)
        self.assertEqual(caught.exception.status, code, caught.exception.body)
        status = json.loads(caught.exception.body)
        self.assertEqual((status["kind"], status["reason"]), ("Status", reason), status)
        return status["message"]
