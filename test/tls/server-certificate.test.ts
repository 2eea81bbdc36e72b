import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathOf } from './certificates/certificates.ts';
import { StartupError } from '../../src/startup-error.ts';
import { type CertificateFiles, readServerCertificate } from '../../src/http/tls/server-certificate.ts';

let directory: string;
let empty: string;
let chain: string;
let broken: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wherry-certificate-'));
  empty = join(directory, 'empty.pem');
  await writeFile(empty, '');
  chain = join(directory, 'chain.pem');
  await writeFile(
    chain,
    (await readFile(pathOf('authority.crt'), 'utf8')) + (await readFile(pathOf('first.crt'), 'utf8')),
  );
  broken = join(directory, 'broken.pem');
  await writeFile(broken, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

const right: CertificateFiles = {
  certificate: pathOf('first.crt'),
  key: pathOf('first.key'),
  clientAuthorities: undefined,
};

async function refusalOf(changed: Partial<CertificateFiles>): Promise<string> {
  try {
    await readServerCertificate({ ...right, ...changed });
    return 'none';
  } catch (error) {
    expect(error).toBeInstanceOf(StartupError);
    return error instanceof StartupError ? error.message : '';
  }
}

test('a certificate and its key are read, with what the log says of them', async () => {
  const read = await readServerCertificate({ ...right, clientAuthorities: pathOf('authority.crt') });
  expect(read.subject).toBe('CN=first');
  expect(read.fingerprint).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  expect(read.expiresAt).toBeGreaterThan(read.validFrom);
});

test('one that has expired is read too: clients refuse it, and the operator is warned', async () => {
  const read = await readServerCertificate({
    ...right,
    certificate: pathOf('expired.crt'),
    key: pathOf('expired.key'),
  });
  expect(read.expiresAt).toBeLessThan(Date.now());
});

test('what cannot be served with is refused with what to do', async () => {
  expect(await refusalOf({ certificate: '/nowhere/tls.crt' })).toMatch(
    /\/nowhere\/tls.crt \(tls.certificate\): there is no such file/,
  );
  expect(await refusalOf({ key: directory })).toMatch(/\(tls.key\): it is a directory/);
  expect(await refusalOf({ certificate: empty })).toContain('there is no certificate');
  expect(await refusalOf({ certificate: broken })).toContain('cannot be read');
  expect(await refusalOf({ key: empty })).toContain('there is no private key');
  expect(await refusalOf({ key: pathOf('second.key') })).toContain('does not belong to the certificate');
  expect(await refusalOf({ certificate: chain })).toContain("put the server's own certificate first");
  expect(await refusalOf({ key: pathOf('encrypted.key') })).toContain('openssl pkey -in');
  expect(await refusalOf({ clientAuthorities: empty })).toContain('(tls.clientAuthorities)');
});
