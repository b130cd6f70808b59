"""Helm: a chart with its definition, its hooks and its test, from lint to uninstall, and what each step leaves."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

from kubernetes import client

from cluster import InNamespace, eventually

HERE = os.path.dirname(os.path.abspath(__file__))
CHART = os.path.join(HERE, "..", "helm", "greeter")
HELM = os.path.join(os.path.dirname(sys.executable), "helm")
NAME = "spring-greeter"
DEFINITION = "greetings.charts.example.com"


class Helm(InNamespace):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.home = tempfile.TemporaryDirectory()
        cls.apps, cls.batch, cls.objects = client.AppsV1Api(), client.BatchV1Api(), client.CustomObjectsApi()

    @classmethod
    def tearDownClass(cls):
        client.ApiextensionsV1Api().delete_custom_resource_definition(DEFINITION)
        cls.home.cleanup()
        super().tearDownClass()

    def runs_helm(self, *words):
        """What Helm prints, and how it ends."""
        places = {name: os.path.join(self.home.name, name) for name in
                  ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
        run = subprocess.run([HELM, *words, "--namespace", self.namespace], env={**os.environ, **places},
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        print(f"$ helm {' '.join(words)}\n{run.stdout}", flush=True)
        return run

    def helm(self, *words):
        run = self.runs_helm(*words)
        self.assertEqual(run.returncode, 0, run.stdout)
        return run.stdout

    def helm_fails(self, *words):
        run = self.runs_helm(*words)
        self.assertNotEqual(run.returncode, 0, run.stdout)
        return run.stdout

    def page(self):
        return self.core.read_namespaced_config_map(NAME, self.namespace).data["index.html"]

    def greeting(self):
        place = ("charts.example.com", "v1", self.namespace, "greetings", NAME)
        return self.objects.get_namespaced_custom_object(*place)["spec"]

    def deployment(self):
        return self.apps.read_namespaced_deployment(NAME, self.namespace)

    def available(self, replicas):
        """The deployment's own status may come a moment after what Helm waits for."""
        def counts():
            status = self.deployment().status
            return (status.replicas, status.updated_replicas, status.available_replicas) == (replicas,) * 3

        eventually(counts, f"{replicas} replicas are the newest and available")

    def jobs(self):
        return [job.metadata.name for job in self.batch.list_namespaced_job(self.namespace).items]

    def revisions(self):
        """Each revision with its state, as the secrets say in which Helm keeps them."""
        secrets = self.core.list_namespaced_secret(self.namespace, label_selector="owner=helm,name=spring").items
        self.assertTrue(all(secret.type == "helm.sh/release.v1" for secret in secrets))
        labels = [secret.metadata.labels for secret in secrets]
        return {int(label["version"]): label["status"] for label in labels}

    def test_a_release_from_its_lint_to_its_end(self):
        self.assertIn("0 chart(s) failed", self.helm("lint", "--strict", CHART))
        self.assertIn("greeting: Invalid type", self.helm_fails("lint", CHART, "--set", "greeting=1"))
        rendered = self.helm("template", "spring", CHART, "--kube-version", "1.36.0", "--include-crds")
        self.assertIn("kind: CustomResourceDefinition", rendered)
        said = self.helm_fails("template", "spring", CHART, "--validate")
        self.assertIn('no matches for kind "Greeting" in version "charts.example.com/v1"', said)

        self.installs()
        self.upgrades()
        self.fails_and_goes_back()
        self.asks()
        self.ends()

    def installs(self):
        said = self.helm("install", "spring", CHART, "--wait", "--timeout", "60s")
        self.assertIn(f'{NAME} says "hello", 1 times.', said)
        self.available(1)
        self.assertEqual((self.page(), self.greeting()), ("hello from revision 1\n", {"text": "hello", "times": 1}))
        owner = self.deployment().metadata
        self.assertEqual(owner.labels["app.kubernetes.io/managed-by"], "Helm")
        self.assertEqual(owner.annotations["meta.helm.sh/release-name"], "spring")
        self.assertEqual(self.jobs(), [], "the hook succeeded and is gone")
        self.assertEqual(self.revisions(), {1: "deployed"})
        self.assertIn("cannot re-use a name that is still in use", self.helm_fails("install", "spring", CHART))
        said = self.helm_fails("install", "other", CHART, "--set", "name=spring-greeter")
        self.assertIn("cannot be imported into the current release: invalid ownership metadata", said)
        status = json.loads(self.helm("status", "spring", "--output", "json", "--show-resources"))
        self.assertEqual((status["info"]["status"], status["version"]), ("deployed", 1))
        self.assertIn("v1/Deployment", status["info"]["resources"])
        listed = json.loads(self.helm("list", "--output", "json"))
        self.assertEqual([(one["name"], one["chart"], one["status"]) for one in listed],
                         [("spring", "greeter-1.2.0", "deployed")])
        self.assertIn("spring-greeter", self.helm("status", "spring", "--show-resources"))

    def upgrades(self):
        dry = self.helm("upgrade", "spring", CHART, "--dry-run=server", "--set", "replicas=5")
        self.assertIn("STATUS: pending-upgrade", dry)
        self.assertIn("namespace: Active", dry, "the template asked the cluster")
        self.assertIn('deployments: "true"', dry)
        self.assertIn("cluster: v1.36.0", dry)
        self.assertEqual((self.revisions(), self.jobs()), ({1: "deployed"}, []))
        values = ("--set", "greeting=good day,replicas=2,service.port=8000")
        self.helm("upgrade", "spring", CHART, *values, "--wait", "--wait-for-jobs", "--timeout", "60s")
        self.available(2)
        self.assertEqual((self.page(), self.greeting()["text"]), ("good day from revision 2\n", "good day"))
        service = self.core.read_namespaced_service(NAME, self.namespace)
        self.assertEqual([port.port for port in service.spec.ports], [8000])
        self.assertEqual((self.jobs(), self.revisions()), ([], {1: "superseded", 2: "deployed"}))
        self.assertEqual(json.loads(self.helm("get", "values", "spring", "--output", "json")),
                         {"greeting": "good day", "replicas": 2, "service": {"port": 8000}})
        self.assertIn("replicas: 2", self.helm("get", "manifest", "spring"))
        self.assertIn("helm.sh/hook: post-upgrade", self.helm("get", "hooks", "spring"))

    def fails_and_goes_back(self):
        # Pods of an image that nobody has are never ready: the upgrade undoes itself.
        said = self.helm_fails("upgrade", "spring", CHART, "--reuse-values", "--set", "greeting=no",
                               "--set", "image=example.com/nobody/has:this", "--atomic", "--timeout", "10s")
        self.assertIn("has been rolled back due to atomic being set", said)
        self.assertEqual(self.revisions(), {1: "superseded", 2: "superseded", 3: "failed", 4: "deployed"})
        self.assertEqual((self.page(), self.greeting()["text"]), ("good day from revision 2\n", "good day"))
        container = self.deployment().spec.template.spec.containers[0]
        self.assertEqual(container.image, "docker.io/library/busybox:latest")
        self.available(2)

        # A hook that fails stays for who wants to see why, until it runs again.
        said = self.helm_fails("upgrade", "spring", CHART, "--reuse-values", "--set", "hook.fails=true")
        self.assertIn("post-upgrade hooks failed", said)
        self.assertIn("BackoffLimitExceeded", said)
        self.assertEqual(self.jobs(), [f"{NAME}-post-upgrade"])
        self.assertEqual(self.revisions()[5], "failed")
        history = json.loads(self.helm("history", "spring", "--output", "json"))
        self.assertEqual([(one["revision"], one["status"]) for one in history],
                         [(1, "superseded"), (2, "superseded"), (3, "failed"), (4, "deployed"), (5, "failed")])

        self.helm("rollback", "spring", "1", "--wait", "--timeout", "60s")
        self.assertEqual((self.page(), self.greeting()["text"]), ("hello from revision 1\n", "hello"))
        self.assertEqual((self.deployment().spec.replicas, self.revisions()[6]), (1, "deployed"))
        ports = self.core.read_namespaced_service(NAME, self.namespace).spec.ports
        self.assertEqual([port.port for port in ports], [80])

        # Somebody changes what Helm made: the next upgrade leaves what the chart does not say, and mends what it does.
        self.core.patch_namespaced_service(NAME, self.namespace, {
            "metadata": {"labels": {"mine": "kept", "app.kubernetes.io/name": "changed"}}})
        self.helm("upgrade", "spring", CHART, "--set", "greeting=bye", "--description", "the last")
        labels = self.core.read_namespaced_service(NAME, self.namespace).metadata.labels
        self.assertEqual((labels["mine"], labels["app.kubernetes.io/name"]), ("kept", "greeter"))
        self.assertEqual((self.greeting()["text"], self.jobs()), ("bye", []))

    def asks(self):
        # Which page answers is known once the new pod is the only one behind the service.
        self.available(1)
        ready = lambda: [endpoint.conditions.ready for one in client.DiscoveryV1Api().list_namespaced_endpoint_slice(
            self.namespace).items for endpoint in one.endpoints or []]
        eventually(lambda: ready() == [True], "the service has one endpoint")
        said = self.helm("test", "spring", "--logs", "--timeout", "60s")
        self.assertIn("Phase:          Succeeded", said)
        self.assertIn("bye from revision 7", said)
        pod = self.core.read_namespaced_pod(f"{NAME}-asks", self.namespace)
        self.assertEqual(pod.status.phase, "Succeeded")

    def ends(self):
        self.assertIn('release "spring" uninstalled', self.helm(
            "uninstall", "spring", "--wait", "--timeout", "60s", "--cascade", "foreground"))
        self.assertEqual(self.revisions(), {})
        self.assertEqual(self.apps.list_namespaced_deployment(self.namespace).items, [])
        self.assertEqual(self.apps.list_namespaced_replica_set(self.namespace).items, [])
        self.assertEqual(self.core.list_namespaced_service(self.namespace).items, [])
        place = ("charts.example.com", "v1", self.namespace, "greetings")
        self.assertEqual(self.objects.list_namespaced_custom_object(*place)["items"], [])
        # Helm keeps definitions, for the objects of others.
        client.ApiextensionsV1Api().read_custom_resource_definition(DEFINITION)
        self.assertEqual(json.loads(self.helm("list", "--all", "--output", "json")), [])


if __name__ == "__main__":
    unittest.main()
