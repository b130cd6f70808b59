"""Leader election by Lease: one leads, the next takes over when it stops."""

import threading
import unittest

from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

from cluster import InNamespace, eventually


class Election(InNamespace):
    def test_one_leads_and_another_follows(self):
        led, release = [], threading.Event()

        def candidate(name, first):
            def lead():
                led.append(name)
                if first:
                    release.wait(60)
                    raise RuntimeError("the leader falls")
            lock = LeaseLock("election", self.namespace, name)
            settings = electionconfig.Config(lock, lease_duration=4, renew_deadline=3, retry_period=1,
                                             onstarted_leading=lead, onstopped_leading=lambda: led.append(f"-{name}"))
            thread = threading.Thread(target=leaderelection.LeaderElection(settings).run, daemon=True)
            thread.start()
            return thread

        candidate("one", True)
        eventually(lambda: led == ["one"], "the first leads")
        candidate("two", False)
        release.set()
        eventually(lambda: led == ["one", "-one", "two"], "the second takes over")
        from kubernetes import client
        lease = client.CoordinationV1Api().read_namespaced_lease("election", self.namespace)
        self.assertEqual(lease.spec.holder_identity, "two")
        self.assertEqual(lease.spec.lease_duration_seconds, 4)


if __name__ == "__main__":
    unittest.main()
