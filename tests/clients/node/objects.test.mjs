// Objects through the typed and the generic client: typed values, patches, apply, refusals, quantities.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
    ApiException, AppsV1Api, KubernetesObjectApi, PatchStrategy, VersionApi, setHeaderOptions, topNodes,
} from '@kubernetes/client-node';
import { IMAGE, config, core, eventually, namespace } from './cluster.mjs';

let place;
before(async () => { place = await namespace(); });
after(() => core.deleteNamespace({ name: place }));

test('a deployment is made, patched, scaled and deleted', async () => {
    const apps = config.makeApiClient(AppsV1Api);
    const labels = { app: 'web' };
    const made = await apps.createNamespacedDeployment({
        namespace: place,
        body: {
            metadata: { name: 'web' },
            spec: {
                replicas: 0,
                selector: { matchLabels: labels },
                template: {
                    metadata: { labels },
                    spec: { containers: [{ name: 'main', image: IMAGE, resources: { limits: { memory: '0.5Gi' } } }] },
                },
            },
        },
    });
    assert.ok(made.metadata.creationTimestamp instanceof Date);
    assert.equal(made.spec.template.spec.containers[0].resources.limits.memory, '512Mi');
    const patched = await apps.patchNamespacedDeployment(
        { name: 'web', namespace: place, body: { metadata: { annotations: { by: 'node' } } } },
        setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch),
    );
    assert.equal(patched.metadata.annotations.by, 'node');
    const listed = await apps.listNamespacedDeployment({ namespace: place, labelSelector: 'app=web' });
    assert.equal(listed.items.length, 0);
    await apps.deleteNamespacedDeployment({ name: 'web', namespace: place });
    await eventually('it is gone', async () => (await apps.listNamespacedDeployment({ namespace: place })).items.length === 0);
});

test('what is refused says why', async () => {
    await assert.rejects(core.readNamespacedSecret({ name: 'none', namespace: place }), (error) => {
        assert.ok(error instanceof ApiException);
        assert.equal(error.code, 404);
        assert.equal(JSON.parse(error.body).message, 'secrets "none" not found');
        return true;
    });
});

test('any object is applied by its manifest', async () => {
    const api = KubernetesObjectApi.makeApiClient(config);
    const manifest = (data) => ({
        apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'any', namespace: place }, data,
    });
    const apply = (data, force) =>
        api.patch(manifest(data), undefined, undefined, 'node', force, PatchStrategy.ServerSideApply);
    assert.deepEqual((await apply({ a: '1' })).data, { a: '1' });
    await api.patch(manifest({ a: '2' }), undefined, undefined, 'other', true, PatchStrategy.ServerSideApply);
    await assert.rejects(apply({ a: '1' }), (error) => error.code === 409);
    assert.deepEqual((await apply({ a: '1' }, true)).data, { a: '1' });
    const read = await api.read(manifest());
    assert.deepEqual(read.metadata.managedFields.map((entry) => entry.manager), ['node']);
    const all = await api.list('v1', 'ConfigMap', place);
    assert.ok(all.items.some((item) => item.metadata.name === 'any'));
    await api.delete(manifest());
});

test('nodes are counted and the version told', async () => {
    assert.equal((await config.makeApiClient(VersionApi).getCode()).gitVersion, 'v1.36.0');
    const nodes = await topNodes(core);
    assert.equal(nodes.length, 3);
    assert.ok(Number(nodes[0].Memory.Capacity) > 0);
});
