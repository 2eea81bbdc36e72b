import { afterEach, beforeEach, expect, test } from 'bun:test';
import { copyFile, rm } from 'node:fs/promises';
import { ChangingFiles, pathOf } from './certificates/certificates.ts';
import type { Log } from '../../src/log/log.ts';
import { CertificateWatch } from '../../src/http/tls/certificate-watch.ts';
import { readServerCertificate } from '../../src/http/tls/server-certificate.ts';

let files: ChangingFiles;
let shown: string[];
let warned: string[];

beforeEach(async () => {
  files = await ChangingFiles.with('first');
  shown = [];
  warned = [];
});

afterEach(async () => {
  await files[Symbol.asyncDispose]();
});

async function watch(nowMs = Date.now()): Promise<CertificateWatch> {
  const ignore = (): void => undefined;
  const warn = (fields: Readonly<Record<string, unknown>>, message: string): void =>
    void warned.push(`${message} ${JSON.stringify(fields)}`);
  const log: Log = { debug: ignore, info: ignore, warn, error: ignore, child: () => log };
  const { certificate, key } = files;
  const named = { certificate, key, clientAuthorities: undefined };
  return new CertificateWatch({
    files: named,
    certificate: await readServerCertificate(named),
    log,
    now: () => nowMs,
    exchange: ({ subject }) => void shown.push(subject),
  });
}

test('files that stay as they are are shown once, at the start', async () => {
  const watching = await watch();
  await watching.look();
  await watching.look();
  expect(shown).toEqual([]);
});

test('a new pair is shown, once', async () => {
  const watching = await watch();
  await watching.look();
  await files.become('second');
  await watching.look();
  await watching.look();
  expect(shown).toEqual(['CN=second']);
  expect(warned).toEqual([]);
});

test('a pair of which one half is new is not shown until the other is there, and is warned of once', async () => {
  const watching = await watch();
  await watching.look();
  await copyFile(pathOf('second.crt'), files.certificate);
  await watching.look();
  await watching.look();
  expect(shown).toEqual([]);
  expect(warned).toHaveLength(1);
  expect(warned[0]).toContain('does not belong');
  await copyFile(pathOf('second.key'), files.key);
  await watching.look();
  expect(shown).toEqual(['CN=second']);
});

test('files that are gone leave what is shown as it is', async () => {
  const watching = await watch();
  await watching.look();
  await rm(files.certificate);
  await watching.look();
  expect(shown).toEqual([]);
  expect(warned[0]).toContain('there is no such file');
  await files.become('first');
  await watching.look();
  expect([shown, warned.length]).toEqual([[], 1]);
});

test('a reload that was asked for reads the files whether they have changed or not', async () => {
  const watching = await watch();
  await watching.look();
  await files.become('second');
  await watching.reload();
  await watching.reload();
  expect(shown).toEqual(['CN=second']);
});

test('a certificate that has expired, or is about to, is warned of', async () => {
  const { expiresAt, validFrom } = await readServerCertificate({
    certificate: files.certificate,
    key: files.key,
    clientAuthorities: undefined,
  });
  for (const [nowMs, warning] of [
    [expiresAt - 8 * 86_400_000, undefined],
    [expiresAt - 6 * 86_400_000, 'the certificate expires soon'],
    [expiresAt, 'the certificate has expired'],
    [validFrom - 1, 'the certificate is not valid yet'],
  ] as const) {
    warned = [];
    const watching = await watch(nowMs);
    watching.start();
    await watching.stop();
    if (warning === undefined) expect(warned).toEqual([]);
    else expect(warned[0]).toStartWith(warning);
    expect(watching.secondsLeft()).toBe((expiresAt - nowMs) / 1000);
  }
});
