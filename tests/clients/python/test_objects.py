"""Objects through the typed client: made, read, listed in pages, patched in every way, applied, deleted."""

import datetime
import unittest

from kubernetes import client, utils
from kubernetes.client import models

from cluster import IMAGE, InNamespace, eventually


class Objects(InNamespace):
    def test_typed_objects_make_the_round_trip(self):
        apps = client.AppsV1Api()
        labels = {"app": "web"}
        wanted = models.V1Deployment(
            metadata=models.V1ObjectMeta(name="web", labels=labels, annotations={"note": "naïve ☃"}),
            spec=models.V1DeploymentSpec(
                replicas=0,
                selector=models.V1LabelSelector(match_labels=labels),
                strategy=models.V1DeploymentStrategy(
                    rolling_update=models.V1RollingUpdateDeployment(max_surge="50%", max_unavailable=1)
                ),
                template=models.V1PodTemplateSpec(
                    metadata=models.V1ObjectMeta(labels=labels),
                    spec=models.V1PodSpec(
                        containers=[
                            models.V1Container(
                                name="main",
                                image=IMAGE,
                                resources=models.V1ResourceRequirements(requests={"cpu": "0.1", "memory": "1024Ki"}),
                            )
                        ]
                    ),
                ),
            ),
        )
        made = apps.create_namespaced_deployment(self.namespace, wanted)
        self.assertEqual(made.spec.strategy.rolling_update.max_surge, "50%")
        self.assertEqual(made.spec.strategy.rolling_update.max_unavailable, 1)
        container = made.spec.template.spec.containers[0]
        self.assertEqual(container.resources.requests, {"cpu": "100m", "memory": "1Mi"})
        self.assertEqual(utils.parse_quantity(container.resources.requests["memory"]), 1024 * 1024)
        self.assertEqual(container.termination_message_path, "/dev/termination-log")
        self.assertEqual(made.metadata.annotations, {"note": "naïve ☃"})
        self.assertIsInstance(made.metadata.creation_timestamp, datetime.datetime)
        # What was read can be written as it is, and changes nothing; the controller may have been quicker.
        def retried(write):
            while True:
                try:
                    return write()
                except client.ApiException as error:
                    self.assertEqual(error.status, 409, error.body)

        read = lambda: apps.read_namespaced_deployment("web", self.namespace)
        again = retried(lambda: apps.replace_namespaced_deployment("web", self.namespace, read()))
        self.assertEqual(again.metadata.generation, 1)

        def scaled():
            scale = apps.read_namespaced_deployment_scale("web", self.namespace)
            scale.spec.replicas = 1
            return apps.replace_namespaced_deployment_scale("web", self.namespace, scale)

        self.assertEqual(retried(scaled).spec.replicas, 1)
        eventually(
            lambda: apps.read_namespaced_deployment_status("web", self.namespace).status.observed_generation == 2,
            "the controller saw the new scale",
        )
        apps.delete_namespaced_deployment("web", self.namespace, propagation_policy="Foreground")
        eventually(lambda: not apps.list_namespaced_replica_set(self.namespace).items, "the replica sets are gone")

    def test_an_update_of_an_older_version_is_refused(self):
        made = self.core.create_namespaced_config_map(self.namespace, {"metadata": {"name": "old"}, "data": {"a": "1"}})
        self.core.patch_namespaced_config_map("old", self.namespace, {"data": {"a": "2"}})
        made.data = {"a": "3"}
        message = self.refused(409, "Conflict", self.core.replace_namespaced_config_map, "old", self.namespace, made)
        self.assertIn("the object has been modified; please apply your changes to the latest version", message)
        message = self.refused(409, "AlreadyExists", self.core.create_namespaced_config_map, self.namespace,
                               {"metadata": {"name": "old"}})
        self.assertEqual(message, 'configmaps "old" already exists')
        message = self.refused(404, "NotFound", self.core.read_namespaced_config_map, "none", self.namespace)
        self.assertEqual(message, 'configmaps "none" not found')
        preconditions = {"preconditions": {"uid": "another"}}
        self.refused(409, "Conflict", self.core.delete_namespaced_config_map, "old", self.namespace, body=preconditions)

    def test_every_kind_of_patch(self):
        name, core = "patched", self.core
        core.create_namespaced_service(
            self.namespace,
            {"metadata": {"name": name}, "spec": {"ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]}},
        )

        def patch(kind, body):
            return core.patch_namespaced_service(name, self.namespace, body, _content_type=kind)

        strategic = {"spec": {"ports": [{"port": 1, "targetPort": 100}]}}
        ports = patch("application/strategic-merge-patch+json", strategic).spec.ports
        self.assertEqual([(port.port, port.target_port) for port in ports], [(1, 100), (2, 2)])
        # A list is a JSON patch to this client, by itself.
        ports = core.patch_namespaced_service(name, self.namespace, [
            {"op": "test", "path": "/spec/ports/0/port", "value": 1},
            {"op": "remove", "path": "/spec/ports/0"},
        ]).spec.ports
        self.assertEqual([port.name for port in ports], ["b"])
        merged = patch("application/merge-patch+json", {"metadata": {"labels": {"x": "y"}}, "spec": {
            "ports": [{"name": "c", "port": 3, "protocol": "UDP"}]}})
        self.assertEqual([(port.name, port.protocol) for port in merged.spec.ports], [("c", "UDP")])
        message = self.refused(422, "Invalid", patch, "application/json-patch+json",
                               [{"op": "test", "path": "/spec/type", "value": "NodePort"}])
        self.assertIn("the server rejected our request due to an error in our request", message)
        self.refused(415, "UnsupportedMediaType", patch, "application/yaml", {})

    def test_fields_have_owners(self):
        def apply(manager, data, **more):
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owned"}, "data": data}
            return self.core.patch_namespaced_config_map(
                "owned", self.namespace, body, field_manager=manager, _content_type="application/apply-patch+yaml",
                **more)

        apply("one", {"a": "1", "b": "1"})
        apply("two", {"c": "2"})
        message = self.refused(409, "Conflict", apply, "two", {"a": "2", "c": "2"})
        self.assertEqual(message, 'Apply failed with 1 conflict: conflict with "one": .data.a')
        self.assertEqual(apply("two", {"a": "2", "c": "2"}, force=True).data, {"a": "2", "b": "1", "c": "2"})
        left = apply("one", {"b": "1"})
        self.assertEqual(left.data, {"a": "2", "b": "1", "c": "2"})
        owners = {entry.manager: entry.fields_v1 for entry in left.metadata.managed_fields}
        self.assertEqual(owners["one"], {"f:data": {"f:b": {}}})
        self.assertEqual(owners["two"], {"f:data": {"f:a": {}, "f:c": {}}})
        self.assertEqual(apply("two", {"c": "2"}).data, {"b": "1", "c": "2"})

    def test_a_list_comes_in_pages_of_one_moment(self):
        for number in range(25):
            body = {"metadata": {"name": f"page-{number:02}", "labels": {"pages": "yes", "even": str(number % 2 == 0)}}}
            self.core.create_namespaced_config_map(self.namespace, body)
        names, token, version, left = [], None, None, []
        while token != "":
            page = self.core.list_namespaced_config_map(
                self.namespace, label_selector="pages=yes", limit=10, _continue=token)
            if token is None:
                # What is made and deleted meanwhile is not of this moment.
                self.core.delete_namespaced_config_map("page-24", self.namespace)
                body = {"metadata": {"name": "page-23-b", "labels": {"pages": "yes"}}}
                self.core.create_namespaced_config_map(self.namespace, body)
            version = version or page.metadata.resource_version
            self.assertEqual(page.metadata.resource_version, version)
            names += [item.metadata.name for item in page.items]
            left.append(page.metadata.remaining_item_count)
            token = page.metadata._continue or ""
        self.assertEqual(names, [f"page-{number:02}" for number in range(25)])
        # With a selector nobody counted what is left.
        self.assertEqual(left, [None, None, None])
        even = self.core.list_namespaced_config_map(self.namespace, label_selector="even in (True),pages").items
        self.assertEqual(len(even), 12)
        one = self.core.list_namespaced_config_map(self.namespace, field_selector="metadata.name=page-03").items
        self.assertEqual([item.metadata.name for item in one], ["page-03"])
        self.refused(400, "BadRequest", self.core.list_namespaced_config_map, self.namespace,
                     field_selector="data.x=1")
        self.core.delete_collection_namespaced_config_map(self.namespace, label_selector="pages=yes")
        gone = self.core.list_namespaced_config_map(self.namespace, label_selector="pages=yes")
        self.assertEqual(gone.items, [])

    def test_what_is_wrong_is_said(self):
        message = self.refused(422, "Invalid", self.core.create_namespaced_service, self.namespace,
                               {"metadata": {"name": "No"}, "spec": {"ports": [{"port": 70000}]}})
        self.assertIn('Service "No" is invalid', message)
        self.assertIn("spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive", message)
        dry = self.core.create_namespaced_config_map(
            self.namespace, {"metadata": {"generateName": "dry-"}}, dry_run="All")
        self.assertTrue(dry.metadata.name.startswith("dry-"))
        self.refused(404, "NotFound", self.core.read_namespaced_config_map, dry.metadata.name, self.namespace)

    def test_secrets_and_manifests(self):
        made = self.core.create_namespaced_secret(
            self.namespace, models.V1Secret(metadata={"name": "s"}, string_data={"key": "value"}))
        self.assertEqual(made.data, {"key": "dmFsdWU="})
        manifest = {"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "listed"}, "data": {"x": "1"}},
            {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "listed"}, "spec": {
                "schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": {"template": {"spec": {
                    "restartPolicy": "Never", "containers": [{"name": "main", "image": IMAGE}]}}}}}},
        ]}
        utils.create_from_dict(client.ApiClient(), manifest, namespace=self.namespace)
        jobs = client.BatchV1Api().list_namespaced_cron_job(self.namespace).items
        self.assertEqual([job.spec.concurrency_policy for job in jobs], ["Allow"])
        failed = []
        try:
            utils.create_from_dict(client.ApiClient(), manifest, namespace=self.namespace)
        except utils.FailToCreateError as error:
            failed = [(refusal.status, refusal.reason) for refusal in error.api_exceptions]
        self.assertEqual(failed, [(409, "Conflict"), (409, "Conflict")])

    def test_who_may_what(self):
        accounts = self.core
        accounts.create_namespaced_service_account(self.namespace, {"metadata": {"name": "robot"}})
        access = client.RbacAuthorizationV1Api()
        access.create_namespaced_role(self.namespace, {"metadata": {"name": "reads"}, "rules": [
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]})
        access.create_namespaced_role_binding(self.namespace, {
            "metadata": {"name": "reads"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reads"},
            "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": self.namespace}]})
        token = accounts.create_namespaced_service_account_token(
            "robot", self.namespace, {"spec": {"audiences": [], "expirationSeconds": 600}}).status.token
        mine = client.Configuration.get_default_copy()
        mine.cert_file = mine.key_file = None
        mine.api_key = {"authorization": f"Bearer {token}"}
        robot = client.ApiClient(mine)
        who = client.AuthenticationV1Api(robot).create_self_subject_review({})
        self.assertEqual(who.status.user_info.username, f"system:serviceaccount:{self.namespace}:robot")
        client.CoreV1Api(robot).list_namespaced_config_map(self.namespace)
        message = self.refused(403, "Forbidden", client.CoreV1Api(robot).list_namespaced_secret, self.namespace)
        self.assertIn('cannot list resource "secrets" in API group "" in the namespace', message)
        review = client.AuthorizationV1Api(robot).create_self_subject_access_review({"spec": {
            "resourceAttributes": {"verb": "get", "resource": "configmaps", "namespace": self.namespace}}})
        self.assertTrue(review.status.allowed)

    def test_events_are_told_and_found(self):
        made = self.core.create_namespaced_config_map(self.namespace, {"metadata": {"name": "told-of"}})
        now = datetime.datetime.now(datetime.timezone.utc)
        regarding = {"apiVersion": "v1", "kind": "ConfigMap", "name": "told-of", "namespace": self.namespace,
                     "uid": made.metadata.uid}
        client.EventsV1Api().create_namespaced_event(self.namespace, models.EventsV1Event(
            metadata={"generateName": "told-of-"}, event_time=now, action="Telling", reason="Told", type="Normal",
            note="it was told", regarding=regarding, reporting_controller="example.com/python",
            reporting_instance="one"))
        self.core.create_namespaced_event(self.namespace, models.CoreV1Event(
            metadata={"generateName": "told-of-"}, reason="ToldBefore", type="Warning", message="as it was", count=3,
            involved_object=regarding, first_timestamp=now, last_timestamp=now, source={"component": "python"}))
        found = self.core.list_namespaced_event(
            self.namespace, field_selector="involvedObject.name=told-of,involvedObject.kind=ConfigMap").items
        self.assertEqual({event.reason: event.message for event in found},
                         {"Told": "it was told", "ToldBefore": "as it was"})
        # The same events under the other name of their kind.
        normal = client.EventsV1Api().list_namespaced_event(self.namespace, field_selector="reason=Told").items
        self.assertEqual([(event.note, event.action) for event in normal], [("it was told", "Telling")])

    def test_the_server_says_what_it_is(self):
        version = client.VersionApi().get_code()
        self.assertEqual((version.major, version.minor, version.git_version), ("1", "36", "v1.36.0"))
        groups = {group.name: group.preferred_version.version for group in client.ApisApi().get_api_versions().groups}
        self.assertEqual((groups["apps"], groups["autoscaling"]), ("v1", "v2"))
        for api in (client.CoreV1Api(), client.AppsV1Api(), client.BatchV1Api(), client.StorageV1Api()):
            self.assertTrue(api.get_api_resources().resources)
        self.assertTrue(self.core.list_node().items[0].status.node_info.kubelet_version)
        self.assertEqual(client.CoreV1Api().list_component_status().kind, "ComponentStatusList")


if __name__ == "__main__":
    unittest.main()
