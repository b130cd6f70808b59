// What flows to and from containers: exec, attach, a copied file, forwarded ports, logs.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { PassThrough, Writable } from 'node:stream';
import { Attach, Cp, Exec, Log, PortForward } from '@kubernetes/client-node';
import { config, core, eventually, namespace, pod, ready } from './cluster.mjs';

let place;
const SERVE = 'mkdir -p /www && echo served > /www/index.html && exec httpd -f -p 8080 -h /www';
before(async () => {
    place = await namespace();
    await core.createNamespacedPod({ namespace: place, body: pod('server', SERVE) });
    const talker = pod('talker', 'while read line; do echo "heard $line"; done');
    talker.spec.containers[0].stdin = true;
    await core.createNamespacedPod({ namespace: place, body: talker });
    await ready(place, 'server');
    await ready(place, 'talker');
});
after(() => core.deleteNamespace({ name: place }));

/** A stream that keeps what is written. */
function kept() {
    const parts = [];
    const stream = new Writable({ write(part, _, done) { parts.push(part); done(); } });
    stream.bytes = () => Buffer.concat(parts);
    stream.text = () => stream.bytes().toString();
    return stream;
}

/** Runs a command to its end. */
async function run(command, input) {
    const [out, err] = [kept(), kept()];
    const status = await new Promise((resolve, reject) => {
        new Exec(config).exec(place, 'server', 'main', command, out, err, input ?? null, false, resolve).catch(reject);
    });
    return { out, err, status };
}

test('a command says how it ended', async () => {
    const good = await run(['sh', '-c', 'echo out; echo err >&2']);
    assert.equal(good.status.status, 'Success');
    assert.deepEqual([good.out.text(), good.err.text()], ['out\n', 'err\n']);
    const bad = await run(['sh', '-c', 'exit 7']);
    assert.equal(bad.status.reason, 'NonZeroExitCode');
    assert.deepEqual(bad.status.details.causes, [{ reason: 'ExitCode', message: '7' }]);
});

test('the end of the input is told, and nothing is lost', async () => {
    const input = new PassThrough();
    const sent = Buffer.alloc(400_000, 'abcdefgh');
    input.end(sent);
    const { out, status } = await run(['cat'], input);
    assert.equal(status.status, 'Success');
    assert.ok(out.bytes().equals(sent), `${out.bytes().length} of ${sent.length} bytes`);
});

test('the first process is attached', async () => {
    const [out, input] = [kept(), new PassThrough()];
    const socket = await new Attach(config).attach(place, 'talker', 'main', out, null, input, false);
    input.write('you\n');
    await eventually('the answer', () => out.text() === 'heard you\n');
    socket.close();
});

// The way back is the client's own affair: it asks for a compressed archive and reads a plain one.
test('a file is copied to a container', async () => {
    const there = fs.mkdtempSync(path.join(os.tmpdir(), 'clients-'));
    try {
        const copy = new Cp(config);
        fs.writeFileSync(path.join(there, 'more.txt'), 'more');
        await copy.cpToPod(place, 'server', 'main', there, '/tmp');
        await eventually('the copy', async () => (await run(['cat', '/tmp/more.txt'])).out.text() === 'more');
    } finally {
        fs.rmSync(there, { recursive: true });
    }
});

test('a port is forwarded', async () => {
    const forward = new PortForward(config);
    const server = net.createServer((socket) => {
        forward.portForward(place, 'server', [8080], socket, null, socket).catch((error) => socket.destroy(error));
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const answer = await new Promise((resolve, reject) => {
        const socket = net.connect(server.address().port, '127.0.0.1');
        let text = '';
        socket.on('data', (data) => {
            text += data;
            if (text.endsWith('served\n')) socket.end(() => resolve(text));
        });
        socket.on('error', reject);
        socket.write('GET /index.html HTTP/1.0\r\n\r\n');
    });
    assert.match(answer, /^HTTP\/1\.[01] 200 OK/);
    server.close();
});

test('a log is followed', async () => {
    const out = kept();
    await core.createNamespacedPod({ namespace: place, body: {
        ...pod('writer', 'for n in 1 2 3; do echo line $n; sleep 0.2; done; sleep 600') } });
    await ready(place, 'writer');
    const stop = await new Log(config).log(place, 'writer', 'main', out, { follow: true, pretty: false });
    await eventually('three lines', () => out.text() === 'line 1\nline 2\nline 3\n');
    stop.abort();
});
