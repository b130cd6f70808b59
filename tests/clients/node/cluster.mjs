// What the programs share: a namespace of their own, and waiting for what must come.

import { setTimeout as pause } from 'node:timers/promises';
import { KubeConfig, CoreV1Api } from '@kubernetes/client-node';

export const PATIENCE = 60_000;
export const IMAGE = 'docker.io/library/busybox:latest';

export const config = new KubeConfig();
config.loadFromDefault();
export const core = config.makeApiClient(CoreV1Api);

/** Asks until the answer is true, and gives the answer. */
export async function eventually(what, question) {
    const end = Date.now() + PATIENCE;
    for (;;) {
        const answer = await question();
        if (answer) return answer;
        if (Date.now() > end) throw new Error(`${what}: still ${JSON.stringify(answer)} after ${PATIENCE} ms`);
        await pause(100);
    }
}

/** Makes a namespace and waits until pods may be made in it. */
export async function namespace() {
    const name = `node-${Math.random().toString(16).slice(2, 10)}`;
    await core.createNamespace({ body: { metadata: { name } } });
    await eventually('the service account', async () => {
        const accounts = await core.listNamespacedServiceAccount({ namespace: name });
        return accounts.items.some((account) => account.metadata.name === 'default');
    });
    return name;
}

/** A pod of one container that ends at once when it is deleted. */
export function pod(name, script) {
    return {
        metadata: { name, labels: { app: name } },
        spec: {
            terminationGracePeriodSeconds: 0,
            containers: [{ name: 'main', image: IMAGE, imagePullPolicy: 'IfNotPresent', command: ['sh', '-c', script] }],
        },
    };
}

/** Waits until a pod is ready. */
export async function ready(namespace, name) {
    await eventually(`pod ${name} is ready`, async () => {
        const { status } = await core.readNamespacedPod({ name, namespace });
        return status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
    });
}
