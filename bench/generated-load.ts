import { fileURLToPath } from 'node:url';
import { outputOf } from './command.ts';
import { HttpConnection } from './load/http-connection.ts';
import { manifestMediaType, pushImage, pushLayer } from './load/image.ts';
import { loadReport } from './load/load-report.ts';
import { treeUsage } from './process-tree.ts';
import type { RunningRegistry } from './running-registry.ts';

const warmUpSeconds = 1;

/** Who sends the manifest requests: wrk where it is installed, else our own generator. */
export type ManifestGenerator = { readonly kind: 'wrk'; readonly program: string } | { readonly kind: 'own' };

/** Work done by a registry under load, and what it cost it. */
export interface LoadFigures {
  /** Requests or images a second. */
  readonly perSecond: number;
  /** User and system time of the registry's processes for each of them, in microseconds. */
  readonly cpuMicrosecondsEach: number;
  /** The load generator's own CPU time, in cores: near 1 it is itself the bottleneck. */
  readonly generatorCores: number | undefined;
}

interface Load {
  readonly count: number;
  readonly seconds: number;
  readonly generatorCpuSeconds: number | undefined;
}

const scriptPath = (name: string): string => fileURLToPath(new URL(`load/${name}`, import.meta.url));

async function ownGenerator(script: string, parameters: readonly (string | number)[]): Promise<Load> {
  const output = await outputOf([process.execPath, scriptPath(script), ...parameters.map(String)]);
  return loadReport.parse(JSON.parse(output));
}

/** What wrk's report says; throws if it saw an error or an answer that is not a success. */
export function readWrkReport(report: string): Load {
  const problem = /Non-2xx or 3xx responses: \d+|Socket errors: .*/.exec(report);
  if (problem !== null) throw new Error(`wrk: ${problem[0]}`);
  const counted = /(\d+) requests in/.exec(report);
  const rate = /Requests\/sec:\s+([\d.]+)/.exec(report);
  if (counted === null || rate === null) throw new Error(`wrk said something unknown: ${report}`);
  const count = Number(counted[1]);
  return { count, seconds: count / Number(rate[1]), generatorCpuSeconds: undefined };
}

async function figuresOf(registry: RunningRegistry, load: () => Promise<Load>): Promise<LoadFigures> {
  const before = treeUsage(registry.pid);
  const { count, seconds, generatorCpuSeconds } = await load();
  const after = treeUsage(registry.pid);
  return {
    perSecond: count / seconds,
    cpuMicrosecondsEach: ((after.cpuSeconds - before.cpuSeconds) / count) * 1e6,
    generatorCores: generatorCpuSeconds === undefined ? undefined : generatorCpuSeconds / seconds,
  };
}

/** Pulls one small image's manifest by its tag, over and over, on keep-alive connections, after a second to warm up. */
export async function measureManifests(
  registry: RunningRegistry,
  generator: ManifestGenerator,
  connections: number,
  seconds: number,
): Promise<LoadFigures> {
  const repository = 'bench/pulled';
  const connection = await HttpConnection.open(registry.port);
  const layer = await pushLayer(connection, repository, new TextEncoder().encode('a small layer'));
  await pushImage(connection, repository, 'latest', [layer]);
  connection.close();
  const target = `/v2/${repository}/manifests/latest`;
  const request = async (forSeconds: number): Promise<Load> => {
    switch (generator.kind) {
      case 'own':
        return ownGenerator('request-manifest.ts', [registry.port, connections, forSeconds, target]);
      case 'wrk':
        return readWrkReport(
          await outputOf([
            generator.program,
            '-t1',
            `-c${connections}`,
            `-d${forSeconds}s`,
            '-H',
            `Accept: ${manifestMediaType}`,
            `http://127.0.0.1:${registry.port}${target}`,
          ]),
        );
    }
  };
  await request(warmUpSeconds);
  return figuresOf(registry, () => request(seconds));
}

/** Pushes small images, each with a layer and a configuration of its own and one shared layer, after a second to warm up. */
export async function measureImages(
  registry: RunningRegistry,
  connections: number,
  seconds: number,
): Promise<LoadFigures> {
  await ownGenerator('push-images.ts', [registry.port, connections, warmUpSeconds, 'warm']);
  return figuresOf(registry, () => ownGenerator('push-images.ts', [registry.port, connections, seconds, 'images']));
}
