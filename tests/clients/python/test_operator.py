"""An operator written with a framework: its objects, its events, its finalizer, its retries."""

import os
import signal
import subprocess
import sys
import tempfile
import unittest

from kubernetes import client

from cluster import InNamespace, eventually

GROUP = "gardens.example.com"
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": f"beds.{GROUP}"},
    "spec": {"group": GROUP, "scope": "Namespaced", "names": {"plural": "beds", "singular": "bed", "kind": "Bed"},
             "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": {
                 "openAPIV3Schema": {"type": "object", "properties": {
                     "spec": {"type": "object", "properties": {"plants": {"type": "integer"}}},
                     "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}}]}}


class Operator(InNamespace):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        client.ApiextensionsV1Api().create_custom_resource_definition(DEFINITION)
        cls.log = tempfile.TemporaryFile()
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gardener.py")
        command = [sys.executable, "-m", "kopf", "run", "--standalone", "--namespace", cls.namespace, program]
        cls.operator = subprocess.Popen(command, stdout=cls.log, stderr=subprocess.STDOUT)

    @classmethod
    def tearDownClass(cls):
        cls.operator.kill()
        cls.operator.wait()
        client.ApiextensionsV1Api().delete_custom_resource_definition(f"beds.{GROUP}")
        super().tearDownClass()

    def told(self):
        self.log.seek(0)
        return self.log.read().decode()

    def test_its_objects_live_as_it_says(self):
        objects, apps, place = client.CustomObjectsApi(), client.AppsV1Api(), (GROUP, "v1", self.namespace, "beds")

        def created():
            self.assertIsNone(self.operator.poll(), self.told())
            try:
                return objects.create_namespaced_custom_object(*place, {
                    "apiVersion": f"{GROUP}/v1", "kind": "Bed", "metadata": {"name": "roses"}, "spec": {"plants": 1}})
            except client.ApiException as error:
                self.assertEqual(error.status, 404, error.body)

        eventually(created, "the definition is served")
        try:
            status = lambda: objects.get_namespaced_custom_object(*place, "roses").get("status", {})
            eventually(lambda: status().get("phase") == "Planted", "the handler of creation ran")
            self.assertEqual(status()["plant"], {"deployment": "roses"})
            eventually(lambda: status().get("watered") == 3, "the timer ran three times")
            ready = lambda: apps.read_namespaced_deployment("roses", self.namespace).status.ready_replicas
            eventually(lambda: ready() == 1, "the plant grows")
            owner = apps.read_namespaced_deployment("roses", self.namespace).metadata.owner_references[0]
            self.assertEqual((owner.kind, owner.name, owner.controller), ("Bed", "roses", True))
            objects.patch_namespaced_custom_object(*place, "roses", {"spec": {"plants": 2}})
            eventually(lambda: ready() == 2, "the bed has two plants")
            reasons = lambda: {(event.reason, event.type) for event in self.core.list_namespaced_event(
                self.namespace, field_selector="involvedObject.kind=Bed").items}
            wanted = {("Planted", "Normal"), ("Wet", "Error")}
            eventually(lambda: wanted <= reasons(), "the operator's events")
            bed = objects.get_namespaced_custom_object(*place, "roses")
            self.assertEqual(bed["metadata"]["finalizers"], [f"{GROUP}/gardener"])
            objects.delete_namespaced_custom_object(*place, "roses")
            eventually(lambda: not objects.list_namespaced_custom_object(*place)["items"], "the bed is gone")
            self.core.read_namespaced_config_map("roses-cleared", self.namespace)
            eventually(lambda: not apps.list_namespaced_deployment(self.namespace).items, "its Deployment follows")
        except AssertionError as failure:
            raise AssertionError(f"{failure}\nThe operator said:\n{self.told()}") from None
        self.operator.send_signal(signal.SIGTERM)
        self.assertEqual(self.operator.wait(30), 0, self.told())


if __name__ == "__main__":
    unittest.main()
