"""Custom resources, through the client for any object and through the dynamic client that discovers kinds."""

import json
import unittest
import uuid

from kubernetes import client, dynamic
from kubernetes.dynamic.exceptions import BadRequestError, ConflictError, NotFoundError, ResourceNotFoundError

from cluster import InNamespace, eventually


def definition(group):
    size = {"type": "integer", "minimum": 1, "maximum": 10, "default": 2}
    schema = {"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"size": size, "colour": {"type": "string"}}},
        "status": {"type": "object", "properties": {"size": {"type": "integer"}, "selector": {"type": "string"}}}}}
    scale = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size",
             "labelSelectorPath": ".status.selector"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"kites.{group}"},
        "spec": {"group": group, "scope": "Namespaced",
                 "names": {"plural": "kites", "singular": "kite", "kind": "Kite", "listKind": "KiteList",
                           "shortNames": ["kt"]},
                 "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema},
                               "subresources": {"status": {}, "scale": scale},
                               "selectableFields": [{"jsonPath": ".spec.colour"}]}]}}


class Dynamic(InNamespace):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.group = f"g{uuid.uuid4().hex[:6]}.example.com"
        cls.kind = {"apiVersion": f"{cls.group}/v1", "kind": "Kite"}
        definitions = client.ApiextensionsV1Api()
        definitions.create_custom_resource_definition(definition(cls.group))

        def established():
            status = definitions.read_custom_resource_definition(f"kites.{cls.group}").status
            return any(c.type == "Established" and c.status == "True" for c in status and status.conditions or [])

        eventually(established, "the definition is established")

    @classmethod
    def tearDownClass(cls):
        client.ApiextensionsV1Api().delete_custom_resource_definition(f"kites.{cls.group}")
        super().tearDownClass()

    def test_custom_objects(self):
        api, place = client.CustomObjectsApi(), (self.group, "v1", self.namespace, "kites")
        made = api.create_namespaced_custom_object(*place, {**self.kind, "metadata": {"name": "a"}, "spec": {"no": 1}})
        self.assertEqual(made["spec"], {"size": 2})
        message = self.refused(422, "Invalid", api.create_namespaced_custom_object, *place,
                               {**self.kind, "metadata": {"name": "b"}, "spec": {"size": 11}})
        self.assertIn("spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10", message)
        api.patch_namespaced_custom_object(*place, "a", {"spec": {"colour": "red"}, "status": {"size": 5}})
        api.patch_namespaced_custom_object_status(*place, "a", {"spec": {"colour": "blue"}, "status": {"size": 3}})
        read = api.get_namespaced_custom_object(*place, "a")
        self.assertEqual((read["spec"], read["status"]), ({"size": 2, "colour": "red"}, {"size": 3}))
        scale = api.get_namespaced_custom_object_scale(*place, "a")
        self.assertEqual((scale["kind"], scale["spec"], scale["status"]["replicas"]), ("Scale", {"replicas": 2}, 3))
        api.patch_namespaced_custom_object_scale(*place, "a", {"spec": {"replicas": 4}})
        found = api.list_namespaced_custom_object(*place, field_selector="spec.colour=red")
        self.assertEqual([(item["metadata"]["name"], item["spec"]["size"]) for item in found["items"]], [("a", 4)])
        api.delete_namespaced_custom_object(*place, "a")
        self.refused(404, "NotFound", api.get_namespaced_custom_object, *place, "a")

    def test_the_dynamic_client_discovers(self):
        cluster = dynamic.DynamicClient(client.ApiClient())
        kites = cluster.resources.get(api_version=f"{self.group}/v1", kind="Kite")
        self.assertEqual((kites.name, kites.namespaced, kites.short_names), ("kites", True, ["kt"]))
        self.assertEqual(sorted(kites.subresources), ["scale", "status"])
        with self.assertRaises(ResourceNotFoundError):
            cluster.resources.get(api_version=f"{self.group}/v2", kind="Kite")
        body = {**self.kind, "metadata": {"name": "dyn"}, "spec": {"size": 1}}
        kites.create(body=body, namespace=self.namespace)
        with self.assertRaises(ConflictError):
            kites.create(body=body, namespace=self.namespace)
        applied = kites.server_side_apply(
            body={**self.kind, "metadata": {"name": "dyn"}, "spec": {"colour": "green"}}, namespace=self.namespace,
            field_manager="python")
        self.assertEqual(applied.spec.to_dict(), {"size": 1, "colour": "green"})
        kites.patch(name="dyn", namespace=self.namespace, body={"spec": {"size": 7}},
                    content_type="application/merge-patch+json")
        kites.status.patch(name="dyn", namespace=self.namespace, body={"status": {"size": 6}},
                           content_type="application/merge-patch+json")
        read = kites.get(name="dyn", namespace=self.namespace)
        self.assertEqual((read.spec.size, read.status.size), (7, 6))
        seen = []
        for event in kites.watch(namespace=self.namespace, timeout=20, name="dyn"):
            seen.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                break
            kites.delete(name="dyn", namespace=self.namespace)
        self.assertEqual(seen, [("ADDED", "dyn"), ("DELETED", "dyn")])
        with self.assertRaises(NotFoundError):
            kites.get(name="dyn", namespace=self.namespace)

    def test_any_kind_is_reached_by_discovery(self):
        cluster = dynamic.DynamicClient(client.ApiClient())
        kinds = {resource.kind for resource in cluster.resources.search(group="apps", api_version="v1")}
        self.assertLessEqual({"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ControllerRevision"}, kinds)
        maps = cluster.resources.get(api_version="v1", kind="ConfigMap")
        with self.assertRaises(BadRequestError) as caught:
            maps.create(body={"metadata": {"name": "x"}, "data": {"n": 1}}, namespace=self.namespace, dry_run="All")
        self.assertIn("cannot unmarshal number into Go struct field ConfigMap.data of type string",
                      json.loads(caught.exception.body)["message"])
        misspelt = {"metadata": {"name": "x"}, "dota": {}}
        dry = maps.create(body=misspelt, namespace=self.namespace, dry_run="All")
        self.assertNotIn("dota", dry.to_dict())
        nodes = cluster.resources.get(api_version="v1", kind="Node")
        self.assertEqual(len(nodes.get(label_selector="!node-role.kubernetes.io/control-plane").items), 2)


if __name__ == "__main__":
    unittest.main()
