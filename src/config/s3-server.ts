import type { Environment } from './environment.ts';
import { regionPattern } from './s3-types.ts';
import { httpUrl } from './setting-types.ts';

/** Which S3 server has the bucket, and how it is asked. */
export interface S3Server {
  /** Undefined: Amazon's own, unless the AWS configuration names another. */
  readonly endpoint: string | undefined;
  /** Undefined: what the AWS configuration says. */
  readonly region: string | undefined;
  /** Whether the bucket stands in the path of a URL, not in the name of its host. */
  readonly isPathStyle: boolean;
}

/** What the settings say of it. */
interface Given {
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  readonly pathStyle: 'auto' | 'on' | 'off';
}

/** The region where a server is named and no region: most such servers have none, and take this. */
const usualRegion = 'us-east-1';

/**
 * Each setting comes before the variables of the AWS command line. An endpoint of theirs counts as the setting does: the
 * client would take it too, but leave the bucket in the name of the host, where few servers beside Amazon's look for it.
 */
export function s3ServerOf(given: Given, environment: Environment): S3Server {
  const endpoint = given.endpoint ?? endpointIn(environment)?.value;
  const region = given.region ?? regionIn(environment)?.value;
  return {
    endpoint,
    region: region ?? (endpoint === undefined ? undefined : usualRegion),
    isPathStyle: given.pathStyle === 'auto' ? endpoint !== undefined : given.pathStyle === 'on',
  };
}

/** What cannot be in those variables that count, a line each. */
export function problemsOfS3Server({ endpoint, region }: S3Server, environment: Environment): readonly string[] {
  const problems: string[] = [];
  const [ofEndpoint, ofRegion] = [endpointIn(environment), regionIn(environment)];
  const url = httpUrl('aws').schema.safeParse(ofEndpoint?.value);
  if (ofEndpoint !== undefined && endpoint === ofEndpoint.value && url.data === undefined) {
    problems.push(`${ofEndpoint.name} in the environment is not a URL of HTTP such as https://s3.example.com`);
  }
  if (ofRegion !== undefined && region === ofRegion.value && !regionPattern.test(region)) {
    problems.push(`${ofRegion.name} in the environment is not the name of a region such as eu-central-1`);
  }
  return problems;
}

interface Variable {
  readonly name: string;
  readonly value: string;
}

function endpointIn(environment: Environment): Variable | undefined {
  // By which the AWS command line and the client are told to leave them alone.
  if (environment['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS'] === 'true') return undefined;
  const found = firstIn(environment, ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL']);
  // In the form that the setting has, too.
  return found && { ...found, value: URL.parse(found.value)?.href ?? found.value };
}

function regionIn(environment: Environment): Variable | undefined {
  return firstIn(environment, ['AWS_REGION', 'AWS_DEFAULT_REGION']);
}

/** The first variable that is set; an empty one is not. */
function firstIn(environment: Environment, names: readonly string[]): Variable | undefined {
  for (const name of names) {
    const value = environment[name];
    if (value !== undefined && value !== '') return { name, value };
  }
  return undefined;
}
