import { outputOf } from './command.ts';
import { HttpConnection } from './load/http-connection.ts';
import { closingTarget, openUpload } from './load/push-blob.ts';
import { treeUsage } from './process-tree.ts';
import type { RunningRegistry } from './running-registry.ts';
import type { SourceBlob } from './source-blob.ts';

/** Throughput of a transfer and what it cost the registry (not the client). */
export interface TransferFigures {
  /** Megabytes (10^6 bytes) a second. */
  readonly megabytesPerSecond: number;
  /** User and system seconds of the registry's processes for each 10^9 bytes. */
  readonly cpuSecondsPerGigabyte: number;
}

/** Waits until nothing is left to be written to disks, so that nobody's bytes are written during another's measurement. */
export async function settleDisks(): Promise<void> {
  await outputOf(['sync']);
}

/** Runs curl once, with the registry's CPU time taken before and after; throws unless it got the status. */
async function transfer(
  registry: RunningRegistry,
  sizeBytes: number,
  status: number,
  curlArguments: readonly string[],
): Promise<TransferFigures> {
  const before = treeUsage(registry.pid);
  const output = await outputOf([
    'curl',
    '--silent',
    '--show-error',
    '--noproxy',
    '*',
    '--output',
    '/dev/null',
    '--write-out',
    '%{http_code} %{time_total}',
    ...curlArguments,
  ]);
  const after = treeUsage(registry.pid);
  const [gotStatus, seconds] = output.split(' ').map(Number);
  if (gotStatus !== status || seconds === undefined) throw new Error(`expected status ${status}, got ${gotStatus}`);
  return {
    megabytesPerSecond: sizeBytes / 1e6 / seconds,
    cpuSecondsPerGigabyte: (after.cpuSeconds - before.cpuSeconds) / (sizeBytes / 1e9),
  };
}

/** Pushes the blob with curl: one PUT with all bytes to an upload that is already open. */
export async function measurePush(
  registry: RunningRegistry,
  repository: string,
  blob: SourceBlob,
): Promise<TransferFigures> {
  const connection = await HttpConnection.open(registry.port);
  const location = await openUpload(connection, repository);
  connection.close();
  const origin = `http://127.0.0.1:${registry.port}`;
  const url = new URL(closingTarget(location, blob.digest), origin);
  return transfer(registry, blob.sizeBytes, 201, [
    '--request',
    'PUT',
    '--header',
    'Content-Type: application/octet-stream',
    // Container clients do not ask before they send; curl would.
    '--header',
    'Expect:',
    '--upload-file',
    blob.path,
    url.href,
  ]);
}

/** Pulls the blob with curl into nowhere. */
export async function measurePull(
  registry: RunningRegistry,
  repository: string,
  blob: SourceBlob,
): Promise<TransferFigures> {
  const url = `http://127.0.0.1:${registry.port}/v2/${repository}/blobs/${blob.digest}`;
  return transfer(registry, blob.sizeBytes, 200, ['--location', url]);
}
