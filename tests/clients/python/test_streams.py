"""What flows to and from containers: exec, attach, port-forward, logs, proxy, evictions."""

import socket
import unittest
import urllib.request

from kubernetes import client, watch
from kubernetes.stream import portforward, stream

from cluster import InNamespace, eventually, pod

SERVE = "mkdir -p /www && echo served > /www/index.html && exec httpd -f -p 8080 -h /www"
ECHO = "while read line; do echo \"heard $line\"; echo \"err $line\" >&2; [ \"$line\" = end ] && exit 0; done"


class Streams(InNamespace):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.core.create_namespaced_pod(cls.namespace, pod("server", "sh", "-c", SERVE))
        listener = pod("listener", "sh", "-c", ECHO, restartPolicy="Never")
        listener["spec"]["containers"][0]["stdin"] = True
        cls.core.create_namespaced_pod(cls.namespace, listener)
        cls.core.create_namespaced_service(cls.namespace, {"metadata": {"name": "server"}, "spec": {
            "selector": {"app": "server"}, "ports": [{"name": "web", "port": 80, "targetPort": 8080}]}})

    def setUp(self):
        self.runs("server")

    def exec(self, *command, **options):
        named = {"command": list(command), "stderr": True, "stdin": False, "stdout": True, "tty": False}
        return stream(self.core.connect_get_namespaced_pod_exec, "server", self.namespace, **{**named, **options})

    def test_exec_prints_and_ends(self):
        # Two streams: which is read first is not said.
        self.assertEqual(sorted(self.exec("sh", "-c", "echo out; echo err >&2").split()), ["err", "out"])
        shell = self.exec("sh", stdin=True, _preload_content=False)
        shell.write_stdin("echo one\n")
        self.assertEqual(shell.readline_stdout(timeout=30), "one")
        shell.write_stdin("echo two >&2; exit 3\n")
        shell.run_forever(timeout=30)
        self.assertEqual(shell.read_stderr(), "two\n")
        self.assertEqual(shell.returncode, 3)

    def test_exec_carries_bytes_both_ways(self):
        sent = bytes(range(256)) * 2048
        shell = self.exec("sh", "-c", f"head -c {len(sent)} | md5sum; head -c 300000 /dev/zero", stdin=True,
                          _preload_content=False, binary=True)
        for start in range(0, len(sent), 32768):
            shell.write_stdin(sent[start:start + 32768])
        shell.run_forever(timeout=60)
        import hashlib
        out = shell.read_stdout()
        digest, zeros = out.split(b"\n", 1)
        self.assertEqual(digest.split()[0].decode(), hashlib.md5(sent).hexdigest())
        self.assertEqual(zeros, bytes(300000))
        self.assertEqual(shell.returncode, 0)

    def test_exec_at_a_terminal(self):
        shell = self.exec("sh", stdin=True, tty=True, _preload_content=False)
        shell.write_channel(4, '{"Width": 111, "Height": 22}')
        # The size comes beside what is typed.
        import time
        seen, end = "", time.monotonic() + 60
        while "22 111" not in seen and time.monotonic() < end:
            shell.write_stdin("stty size\n")
            shell.update(timeout=1)
            seen += shell.read_stdout() if shell.peek_stdout() else ""
        self.assertIn("22 111", seen)
        shell.write_stdin("exit\n")
        shell.run_forever(timeout=30)
        self.assertEqual(shell.returncode, 0)

    def test_exec_of_what_is_not_there(self):
        with self.assertRaises(client.ApiException) as caught:
            stream(self.core.connect_get_namespaced_pod_exec, "nobody", self.namespace, command=["true"], stdout=True)
        self.assertIn("404", caught.exception.reason)
        with self.assertRaises(client.ApiException) as caught:
            self.exec("true", container="another")
        self.assertIn("400", caught.exception.reason)
        missing = self.exec("/no/such/program", _preload_content=False)
        missing.run_forever(timeout=30)
        self.assertIn("no such file or directory", missing.read_channel(3))

    def test_attach_talks_to_the_first_process(self):
        self.runs("listener")
        held = stream(self.core.connect_get_namespaced_pod_attach, "listener", self.namespace, stdin=True,
                      stdout=True, stderr=True, tty=False, _preload_content=False)
        held.write_stdin("you\n")
        self.assertEqual(held.readline_stdout(timeout=30), "heard you")
        self.assertEqual(held.readline_stderr(timeout=30), "err you")
        held.write_stdin("end\n")
        held.run_forever(timeout=30)
        ended = lambda: self.core.read_namespaced_pod("listener", self.namespace).status.phase == "Succeeded"
        eventually(ended, "the listener ends")
        log = self.core.read_namespaced_pod_log("listener", self.namespace)
        self.assertEqual(sorted(log.split("\n")), ["", "err end", "err you", "heard end", "heard you"])

    def test_ports_are_forwarded(self):
        forwarded = portforward(self.core.connect_get_namespaced_pod_portforward, "server", self.namespace,
                                ports="8080,8081")
        connection = forwarded.socket(8080)
        connection.setblocking(True)
        connection.settimeout(30)
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while part := connection.recv(4096):
            answer += part
        self.assertTrue(answer.startswith(b"HTTP/1.0 200 OK") or answer.startswith(b"HTTP/1.1 200 OK"), answer)
        self.assertTrue(answer.endswith(b"served\n"), answer)
        self.assertIsNone(forwarded.error(8080))
        closed = forwarded.socket(8081)
        closed.setblocking(True)
        closed.settimeout(30)
        self.assertEqual(closed.recv(1), b"")
        eventually(lambda: forwarded.error(8081), "the error of a port where nobody listens")
        self.assertIn("refused", forwarded.error(8081))

    def test_logs_are_followed_and_cut(self):
        script = "for n in 1 2 3 4 5; do echo line $n; sleep 0.2; done"
        self.core.create_namespaced_pod(self.namespace, pod("writer", "sh", "-c", script, restartPolicy="Never"))
        started = lambda: self.core.read_namespaced_pod("writer", self.namespace).status.phase != "Pending"
        eventually(started, "the writer starts")
        lines = list(watch.Watch().stream(self.core.read_namespaced_pod_log, "writer", self.namespace))
        self.assertEqual(lines, [f"line {n}" for n in range(1, 6)])
        last = self.core.read_namespaced_pod_log("writer", self.namespace, tail_lines=2, timestamps=True)
        self.assertRegex(last, r"^\d{4}-\d\d-\d\dT[\d:.]+Z line 4\n\S+ line 5\n$")
        self.assertEqual(self.core.read_namespaced_pod_log("writer", self.namespace, limit_bytes=6), "line 1")

    def test_requests_pass_to_pods_and_services(self):
        pods, services = self.core.connect_get_namespaced_pod_proxy, self.core.connect_get_namespaced_service_proxy
        self.assertEqual(pods("server:8080", self.namespace), "served\n")
        with_path = self.core.connect_get_namespaced_pod_proxy_with_path
        self.assertEqual(with_path("http:server:8080", self.namespace, "index.html"), "served\n")
        def asked():
            try:
                return services("server:web", self.namespace)
            except client.ApiException as error:
                # Its endpoints may not be known yet.
                self.assertEqual(error.status, 503, error.body)
                return None
        self.assertEqual(eventually(asked, "the service answers"), "served\n")
        with self.assertRaises(client.ApiException) as caught:
            with_path("server:8080", self.namespace, "none")
        self.assertEqual(caught.exception.status, 404)
        node = self.core.read_namespaced_pod("server", self.namespace).spec.node_name
        self.assertEqual(self.core.connect_get_node_proxy_with_path(node, "healthz"), "ok")

    def test_a_pod_is_evicted(self):
        self.core.create_namespaced_pod(self.namespace, pod("guest", "sleep", "600"))
        self.runs("guest")
        eviction = {"metadata": {"name": "guest"}}
        answer = self.core.create_namespaced_pod_eviction("guest", self.namespace, eviction)
        self.assertIsNotNone(answer)
        names = lambda: [item.metadata.name for item in self.core.list_namespaced_pod(self.namespace).items]
        eventually(lambda: "guest" not in names(), "the guest is gone")


if __name__ == "__main__":
    unittest.main()
