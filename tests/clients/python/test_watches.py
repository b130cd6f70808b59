"""Watches: from now, resumed where the last one ended, too old, of one object, through an informer."""

import json
import threading
import unittest

from kubernetes import client, watch
from kubernetes.informer import ADDED, DELETED, MODIFIED, SharedInformer

from cluster import InNamespace, eventually


class Watches(InNamespace):
    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].replace("_", "-")

    def make(self, name, **data):
        body = {"metadata": {"name": name, "labels": {"test": self.name}}, "data": data}
        return self.core.create_namespaced_config_map(self.namespace, body)

    def watched(self, count, **options):
        """The next events of this test's objects."""
        seen, stream = [], watch.Watch()
        for event in stream.stream(self.core.list_namespaced_config_map, self.namespace,
                                   label_selector=f"test={self.name}", timeout_seconds=60, **options):
            seen.append((event["type"], event["object"].metadata.name, event["object"].data))
            if len(seen) == count:
                stream.stop()
        self.assertEqual(len(seen), count, seen)
        return seen, stream.resource_version

    def test_resumes_where_it_ended(self):
        start = self.core.list_namespaced_config_map(self.namespace).metadata.resource_version
        self.make("a", x="1")
        self.core.patch_namespaced_config_map("a", self.namespace, {"data": {"x": "2"}})
        seen, version = self.watched(2, resource_version=start)
        self.assertEqual(seen, [("ADDED", "a", {"x": "1"}), ("MODIFIED", "a", {"x": "2"})])
        self.core.delete_namespaced_config_map("a", self.namespace)
        self.make("b")
        seen, _ = self.watched(2, resource_version=version)
        self.assertEqual(seen, [("DELETED", "a", {"x": "2"}), ("ADDED", "b", None)])

    def test_leaves_and_enters_a_selection(self):
        start = self.make("moves").metadata.resource_version
        for value in ("other", self.name):
            self.core.patch_namespaced_config_map("moves", self.namespace, {"metadata": {"labels": {"test": value}}})
        seen, _ = self.watched(2, resource_version=start)
        self.assertEqual([event[:2] for event in seen], [("DELETED", "moves"), ("ADDED", "moves")])

    def test_without_a_version_begins_with_what_is(self):
        self.make("first")
        self.make("second")
        seen, _ = self.watched(2)
        self.assertEqual({event[:2] for event in seen}, {("ADDED", "first"), ("ADDED", "second")})

    def test_of_one_object_and_for_a_time(self):
        self.make("only")
        events = list(watch.Watch().stream(self.core.list_namespaced_config_map, self.namespace, timeout_seconds=1,
                                           field_selector="metadata.name=only"))
        self.assertEqual([event["object"].metadata.name for event in events], ["only"])

    def test_a_version_too_large_is_waited_for_and_refused(self):
        with self.assertRaises(client.ApiException) as caught:
            self.core.list_namespaced_config_map(self.namespace, resource_version="999999999",
                                                 resource_version_match="NotOlderThan")
        status = json.loads(caught.exception.body)
        self.assertEqual((caught.exception.status, status["reason"]), (504, "Timeout"))
        self.assertIn("Too large resource version: 999999999, current: ", status["message"])
        self.assertEqual(status["details"]["causes"][0]["reason"], "ResourceVersionTooLarge")

    def test_bookmarks_and_initial_events(self):
        self.make("there")
        events = []
        stream = watch.Watch()
        for event in stream.stream(self.core.list_namespaced_config_map, self.namespace, timeout_seconds=60,
                                   label_selector=f"test={self.name}", send_initial_events=True,
                                   resource_version_match="NotOlderThan", allow_watch_bookmarks=True):
            events.append((event["type"], event["raw_object"]["metadata"].get("annotations")))
            if event["type"] == "BOOKMARK":
                stream.stop()
        self.assertEqual(events, [("ADDED", None), ("BOOKMARK", {"k8s.io/initial-events-end": "true"})])

    def test_an_informer_follows(self):
        self.make("was")
        informer = SharedInformer(self.core.list_namespaced_config_map, namespace=self.namespace,
                                  label_selector=f"test={self.name}")
        seen, lock = [], threading.Lock()
        for kind in (ADDED, MODIFIED, DELETED):
            def note(item, kind=kind):
                with lock:
                    seen.append((kind, item.metadata.name))
            informer.add_event_handler(kind, note)
        informer.start()
        try:
            eventually(lambda: (ADDED, "was") in seen, "the informer's first list")
            self.make("comes")
            self.core.patch_namespaced_config_map("was", self.namespace, {"data": {"x": "1"}})
            self.core.delete_namespaced_config_map("comes", self.namespace)
            wanted = [(ADDED, "was"), (ADDED, "comes"), (MODIFIED, "was"), (DELETED, "comes")]
            eventually(lambda: len(seen) >= 4, "the informer's events")
            self.assertEqual(seen, wanted)
            self.assertEqual([item.metadata.name for item in informer.cache.list()], ["was"])
        finally:
            informer.stop()


if __name__ == "__main__":
    unittest.main()
