'use strict';

// Verifies requests like Taskcluster's services: Hawk's reference implementation checks the header (with payload hash) or
// the bewit. The key of temporary credentials is computed from the certificate.
// Responds with 200 and the verified request, or 401 and the reason.

const Crypto = require('crypto');
const Http = require('http');
const Hawk = require('@hapi/hawk');

const KEYS = { 'tester': 'no-secret', 'a:b/c@d.e+f|g': 'another-key_with-more' };

const hmac = (key, text) => Crypto.createHmac('sha256', key).update(text).digest('base64');

const lookup = (ext) => async (id) => {
    const { certificate } = ext;
    if (!certificate) {
        return KEYS[id] ? { key: KEYS[id], algorithm: 'sha256' } : null;
    }
    const key = KEYS[certificate.issuer || id];
    const lines = [
        `version:${certificate.version}`,
        ...(certificate.issuer ? [`clientId:${id}`, `issuer:${certificate.issuer}`] : []),
        `seed:${certificate.seed}`,
        `start:${certificate.start}`,
        `expiry:${certificate.expiry}`,
        'scopes:',
        ...certificate.scopes,
    ];
    if (!key || hmac(key, lines.join('\n')) !== certificate.signature) {
        throw new Error('ext.certificate.signature is not valid');
    }
    const temporary = hmac(key, certificate.seed).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
    return { key: temporary, algorithm: 'sha256' };
};

const parsed = (ext) => ext ? JSON.parse(Buffer.from(ext, 'base64').toString('utf8')) : {};

const check = async (request, payload) => {
    if (/[?&]bewit=/.test(request.url)) {
        const bewit = new URL(request.url, 'http://unused').searchParams.get('bewit');
        const ext = parsed(Buffer.from(bewit, 'base64').toString('utf8').split('\\')[3]);
        const { attributes } = await Hawk.uri.authenticate(request, lookup(ext));
        return { id: attributes.id, ext };
    }
    const attributes = Hawk.utils.parseAuthorizationHeader(request.headers.authorization);
    const ext = parsed(attributes.ext);
    const { artifacts } = await Hawk.server.authenticate(request, lookup(ext), { payload });
    return { id: artifacts.id, ext };
};

const server = Http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) {
        chunks.push(chunk);
    }
    let status = 200;
    let body;
    try {
        body = await check(request, Buffer.concat(chunks).toString('utf8'));
    } catch (error) {
        status = 401;
        body = { code: 'AuthenticationFailed', message: error.message };
    }
    const received = { method: request.method, target: request.url, headers: request.headers };
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify({ ...body, received }));
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));
// The test closes standard input at the end.
process.stdin.resume().on('end', () => process.exit(0));
