import { beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { z } from 'zod';
import { ClientFailed } from './client-home.ts';
import { clientProgram } from './client-programs.ts';
import { parseManifest, readImage } from './image-content.ts';
import { setStage } from './stage.ts';

setDefaultTimeout(120_000);

const program = await clientProgram('cosign');
const crane = await clientProgram('crane');
const stage = setStage('cosign');
const { wherry, home, fixtures } = stage;
const { digest } = fixtures.small.root();
/** The tags by which cosign finds what belongs to an image where it does not use referrers. */
const tagPrefix = digest.replace(':', '-');
const predicate = home.writeFile('predicate.json', '{"cargo":"reed"}');
const payloadSchema = z.array(
  z.object({ critical: z.object({ image: z.object({ 'docker-manifest-digest': z.string() }) }) }),
);

beforeAll(async () => {
  await cosign('generate-key-pair');
  // A root without any authority: a key is all that these tests trust, and cosign then asks no server for one.
  await cosign('trusted-root', 'create', '--out=trusted-root.json');
});

async function cosign(...args: readonly string[]): Promise<string> {
  return (await home.run([program, ...args], { env: { COSIGN_PASSWORD: 'reed', COSIGN_EXPERIMENTAL: '1' } })).stdout;
}

async function sign(reference: string, ...args: readonly string[]): Promise<void> {
  await cosign('sign', '--yes', '--key=cosign.key', '--tlog-upload=false', '--allow-http-registry', ...args, reference);
}

async function attest(reference: string, ...args: readonly string[]): Promise<void> {
  const what = [`--predicate=${predicate}`, '--type=custom', '--tlog-upload=false'];
  await cosign('attest', '--yes', '--key=cosign.key', ...what, '--allow-http-registry', ...args, reference);
}

async function verify(
  command: 'verify' | 'verify-attestation',
  reference: string,
  ...args: readonly string[]
): Promise<string> {
  const trust = ['--key=cosign.pub', '--trusted-root=trusted-root.json', '--insecure-ignore-tlog'];
  return cosign(command, ...trust, '--allow-http-registry', ...args, reference);
}

/** The manifests that verified signatures are for. */
function signed(verified: string): readonly string[] {
  return payloadSchema.parse(JSON.parse(verified)).map((one) => one.critical.image['docker-manifest-digest']);
}

/** The predicate of the first verified attestation. */
function attested(verified: string): unknown {
  const [line = ''] = verified.trim().split('\n');
  const { payload } = z.object({ payload: z.string() }).parse(JSON.parse(line));
  const statement = z.object({ predicate: z.unknown() });
  return statement.parse(JSON.parse(Buffer.from(payload, 'base64').toString())).predicate;
}

/** Pushes an image and returns the reference by its digest. */
async function push(repository: string): Promise<string> {
  await home.run([crane, 'push', fixtures.small.directory, `${wherry.host}/${repository}:1`]);
  return `${wherry.host}/${repository}@${digest}`;
}

test('a signature made with cosign is kept in a tag beside the image, and verified', async () => {
  const reference = await push('cosign/signed');
  await sign(reference);

  const repository = stage.repository('cosign/signed');
  expect(await repository.tags()).toEqual(['1', `${tagPrefix}.sig`]);
  await readImage(repository, await repository.resolve(`${tagPrefix}.sig`));
  expect(signed(await verify('verify', reference))).toEqual([digest]);
});

test('an image that nobody has signed is not verified', async () => {
  const reference = await push('cosign/unsigned');

  const refused = await verify('verify', reference).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(ClientFailed);
});

test('an attestation and an SBOM attached with cosign come back', async () => {
  const reference = await push('cosign/attested');
  await attest(reference);
  const sbom = home.writeFile('sbom.spdx', `SPDXVersion: SPDX-2.3 ${crypto.randomUUID()}\n`);
  await cosign('attach', 'sbom', `--sbom=${sbom}`, '--allow-http-registry', reference);

  const repository = stage.repository('cosign/attested');
  expect(await repository.tags()).toEqual(['1', `${tagPrefix}.att`, `${tagPrefix}.sbom`]);
  expect(attested(await verify('verify-attestation', reference, '--type=custom'))).toMatchObject({
    Data: '{"cargo":"reed"}',
  });
  expect(await cosign('download', 'sbom', '--allow-http-registry', reference)).toBe(await Bun.file(sbom).text());
});

test('a signature made with cosign as an OCI 1.1 referrer is found through the referrers list', async () => {
  const reference = await push('cosign/referrers');
  await sign(reference, '--registry-referrers-mode=oci-1-1');

  const repository = stage.repository('cosign/referrers');
  const [referrer, ...others] = await repository.referrers(digest);
  expect(others).toEqual([]);
  expect(referrer?.artifactType).toBe('application/vnd.dev.cosign.artifact.sig.v1+json');
  await readImage(repository, referrer?.digest ?? '');
  expect(await repository.tags()).toEqual(['1']);
  expect(signed(await verify('verify', reference, '--experimental-oci11'))).toEqual([digest]);
});

test('signature and attestation bundles made with cosign are found through the referrers list', async () => {
  const reference = await push('cosign/bundles');
  await sign(reference, '--new-bundle-format');
  expect(signed(await verify('verify', reference, '--new-bundle-format'))).toEqual([digest]);
  await attest(reference, '--new-bundle-format');

  const repository = stage.repository('cosign/bundles');
  const referrers = await repository.referrers(digest);
  expect(referrers).toHaveLength(2);
  for (const referrer of referrers) {
    expect(referrer.artifactType).toStartWith('application/vnd.dev.sigstore.bundle');
    expect(parseManifest(await repository.manifest(referrer.digest)).subject?.digest).toBe(digest);
    await readImage(repository, referrer.digest);
  }
  expect(attested(await verify('verify-attestation', reference, '--new-bundle-format', '--type=custom'))).toMatchObject(
    {
      Data: '{"cargo":"reed"}',
    },
  );
});

test('cosign copy takes an image with its signatures along, cosign clean removes them', async () => {
  const reference = await push('cosign/source');
  await sign(reference);
  await attest(reference);
  const target = `${wherry.host}/cosign/target`;
  await cosign('copy', '--allow-http-registry', `${wherry.host}/cosign/source:1`, `${target}:1`);

  const repository = stage.repository('cosign/target');
  expect(await readImage(repository, digest)).toEqual(await readImage(fixtures.small, digest));
  expect(signed(await verify('verify', `${target}@${digest}`))).toEqual([digest]);
  await verify('verify-attestation', `${target}@${digest}`, '--type=custom');
  await cosign('clean', '--force', '--allow-http-registry', `${target}:1`);
  expect(await repository.tags()).not.toContain(`${tagPrefix}.sig`);
  expect(await repository.resolve('1')).toBe(digest);
});

test('a multi-arch index signed with cosign --recursive has a signature for each platform', async () => {
  const index = fixtures.platforms.root().digest;
  await home.run([crane, 'push', '--index', fixtures.platforms.directory, `${wherry.host}/cosign/platforms:1`]);
  await sign(`${wherry.host}/cosign/platforms@${index}`, '--recursive');

  const { manifests = [] } = parseManifest(await fixtures.platforms.manifest(index));
  for (const signedDigest of [index, ...manifests.map((child) => child.digest)]) {
    expect(signed(await verify('verify', `${wherry.host}/cosign/platforms@${signedDigest}`))).toEqual([signedDigest]);
  }
});
