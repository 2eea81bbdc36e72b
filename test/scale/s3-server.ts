import { mkdtempSync, rmSync } from 'node:fs';
import { bucketSettingsAt } from '../pairs/bucket-settings.ts';
import { join } from 'node:path';
import {
  CreateBucketCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { S3Settings } from '../../src/blobs/s3/settings.ts';
import { temporary } from '../pairs/temporary.ts';
import { freePort } from '../server/free-port.ts';

/** An S3 server on a loopback port, with a data directory of its own. */
export interface S3Server {
  readonly endpoint: string;
  /** Where it keeps what it has. */
  readonly directory: string;
  /** What a process has in its environment that may use it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Makes an empty bucket. */
  newBucket(options?: { readonly isVersioned?: boolean; readonly isLocked?: boolean }): Promise<TestBucket>;
  /** Ends it at once, as a crash would. */
  halt(): Promise<void>;
  /** Starts it again. */
  goOn(): Promise<void>;
  stop(): Promise<void>;
}

/** A bucket, looked at from beside the registry. */
export interface TestBucket {
  readonly name: string;
  readonly settings: S3Settings;
  /** Has it keep older versions from now on. */
  keepVersions(): Promise<void>;
  /** All keys, each as often as there are versions of it. */
  keys(): Promise<readonly string[]>;
  /** The key of each unfinished multipart upload. */
  uploads(): Promise<readonly string[]>;
}

/** How a server is started: its program and arguments, and what it finds in its environment. */
export interface S3ServerProgram {
  readonly command: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  /** A path below its address that is answered with 200 once it takes requests. */
  readonly readyPath: string;
}

export interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Who may use the servers, where a test does not say who else. */
export const credentials: Keys = { accessKeyId: 'wherry', secretAccessKey: 'wherry-secret' };

/** Starts a server on a loopback port, with a data directory of its own in `parent` that goes with it. @param keys who may use it */
export async function startS3Server(
  programOn: (address: string, directory: string) => S3ServerProgram,
  parent = temporary,
  keys = credentials,
): Promise<S3Server> {
  const directory = mkdtempSync(join(parent, 'wherry-s3-'));
  const address = `127.0.0.1:${freePort()}`;
  const endpoint = `http://${address}`;
  const { command, environment, readyPath } = programOn(address, directory);
  const start = async (): Promise<Bun.Subprocess> => {
    const server = Bun.spawn([...command], {
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'ignore',
      env: { ...process.env, ...environment },
    });
    await answering(`${endpoint}${readyPath}`, server);
    return server;
  };
  let server = await start();
  const end = async (): Promise<void> => {
    server.kill('SIGKILL');
    await server.exited;
  };
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: keys });
  let buckets = 0;
  return {
    endpoint,
    directory,
    environment: {
      AWS_ACCESS_KEY_ID: keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    async newBucket({ isVersioned = false, isLocked = false } = {}) {
      const name = `bucket-${++buckets}`;
      await client.send(new CreateBucketCommand({ Bucket: name, ObjectLockEnabledForBucket: isLocked }));
      const bucket = bucketOf(client, { name, endpoint });
      if (isVersioned) await bucket.keepVersions();
      return bucket;
    },
    halt: end,
    async goOn() {
      server = await start();
    },
    async stop() {
      client.destroy();
      await end();
      rmSync(directory, { recursive: true });
    },
  };
}

function bucketOf(
  client: S3Client,
  { name, endpoint }: { readonly name: string; readonly endpoint: string },
): TestBucket {
  return {
    name,
    settings: bucketSettingsAt({ bucket: name, prefix: 'of-wherry/', endpoint }),
    async keepVersions() {
      const enabled = { Bucket: name, VersioningConfiguration: { Status: 'Enabled' as const } };
      await client.send(new PutBucketVersioningCommand(enabled));
    },
    async keys() {
      const keys: string[] = [];
      let marker: { readonly KeyMarker?: string | undefined; readonly VersionIdMarker?: string | undefined } = {};
      for (let isMore = true; isMore;) {
        const from = marker;
        const page = await client.send(new ListObjectVersionsCommand({ Bucket: name, ...from }));
        for (const { Key = '' } of [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])]) keys.push(Key);
        isMore = page.IsTruncated === true;
        marker = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
      }
      return keys.sort();
    },
    async uploads() {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: name }));
      return Uploads.map(({ Key = '' }) => Key).sort();
    },
  };
}

async function answering(url: string, server: Bun.Subprocess): Promise<void> {
  while (server.exitCode === null) {
    try {
      if ((await fetch(url)).ok) return;
    } catch {
      // It is not that far yet.
    }
    await Bun.sleep(20);
  }
  throw new Error(`the server ended with ${server.exitCode}`);
}
