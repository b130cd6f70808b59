// Informers and watches: what is, what comes, what goes, and going on after the connection was cut.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Watch, makeInformer } from '@kubernetes/client-node';
import { config, core, eventually, namespace } from './cluster.mjs';

let place;
before(async () => { place = await namespace(); });
after(() => core.deleteNamespace({ name: place }));

const make = (name, data) =>
    core.createNamespacedConfigMap({ namespace: place, body: { metadata: { name, labels: { by: 'node' } }, data } });

test('an informer keeps what is there', async () => {
    await make('was');
    const list = () => core.listNamespacedConfigMap({ namespace: place, labelSelector: 'by=node' });
    const informer = makeInformer(config, `/api/v1/namespaces/${place}/configmaps`, list, 'by=node');
    const seen = [];
    let connections = 0;
    for (const kind of ['add', 'update', 'delete']) {
        informer.on(kind, (object) => seen.push(`${kind} ${object.metadata.name}`));
    }
    informer.on('connect', () => { connections += 1; });
    informer.on('error', (error) => { seen.push(`error ${error}`); });
    await informer.start();
    await eventually('the first list', () => seen.length === 1);
    await make('comes');
    await eventually('what comes', () => seen.length === 2);
    await core.replaceNamespacedConfigMap({
        name: 'was', namespace: place, body: { metadata: { name: 'was', labels: { by: 'node' } }, data: { x: '1' } },
    });
    await eventually('what changes', () => seen.length === 3);
    await core.deleteNamespacedConfigMap({ name: 'comes', namespace: place });
    await eventually('what goes', () => seen.length === 4);
    assert.deepEqual(seen, ['add was', 'add comes', 'update was', 'delete comes']);
    assert.equal(informer.get('was', place).data.x, '1');
    assert.deepEqual(informer.list(place).map((object) => object.metadata.name), ['was']);
    assert.equal(connections, 1);
    await informer.stop();
});

test('a watch ends after its time and is resumed', async () => {
    const watch = new Watch(config);
    const path = `/api/v1/namespaces/${place}/configmaps`;
    const events = async (query) => {
        const seen = [];
        await new Promise((resolve, reject) => {
            watch.watch(path, { timeoutSeconds: 1, fieldSelector: 'metadata.name=again', ...query },
                (type, object) => seen.push([type, object]), (error) => (error ? reject(error) : resolve()))
                .catch(reject);
        });
        return seen;
    };
    await make('again');
    const first = await events({});
    assert.deepEqual(first.map(([type]) => type), ['ADDED']);
    const { resourceVersion } = first[0][1].metadata;
    assert.deepEqual(await events({ resourceVersion }), []);
    await core.deleteNamespacedConfigMap({ name: 'again', namespace: place });
    const last = await events({ resourceVersion });
    assert.deepEqual(last.map(([type]) => type), ['DELETED']);
});
