import { digestOf, imageType, indexType, type StormManifest } from './content.ts';
import type { Ledger, ReferrerRecord } from './ledger.ts';
import { type Answer, type RegistryClient, textOf } from './registry-client.ts';
import { onlyTarget, type TagRecord, type Watch } from './tag-record.ts';

const accept = { accept: [imageType, indexType].join(', ') };

/** Something that is not as it must be. */
export interface Fault {
  readonly what: string;
  readonly request: string;
  readonly expected: string;
  readonly got: string;
  /** Whether something acknowledged is not there. */
  readonly isLoss: boolean;
}

/** Pulls whole images, recomputes each digest, and compares them with what must be there. */
export class ImagePuller {
  readonly #client: RegistryClient;
  readonly #ledger: Ledger;

  constructor(client: RegistryClient, ledger: Ledger) {
    this.#client = client;
    this.#ledger = ledger;
  }

  /** Pulls what a tag leads to, with everything in it; returns what is wrong with it. */
  async pull(tag: TagRecord): Promise<Fault | undefined> {
    using watch = tag.watch();
    const { repository, name } = tag;
    const answer = await this.#get('GET manifest', `${repository}/manifests/${name}`);
    const request = `GET ${repository}:${name}`;
    if (answer.status === 404) {
      if (watch.states.includes('absent')) return undefined;
      return { what: 'a tag is gone', request, expected: inWords(watch), got: textOf(answer), isLoss: true };
    }
    if (answer.status !== 200) return unexpected(request, answer);
    const digest = digestOf(answer.body);
    const target = watch.states.find((state) => state !== 'absent' && state.manifest.digest === digest);
    if (target === undefined || target === 'absent') {
      const isLoss = !watch.states.includes('absent');
      return { what: 'a tag leads to something else', request, expected: inWords(watch), got: digest, isLoss };
    }
    const told = answer.headers.get('docker-content-digest');
    if (told !== null && told !== digest) {
      const what = 'Docker-Content-Digest is another one';
      return { what, request, expected: digest, got: told, isLoss: false };
    }
    const fault = await this.#pullNeeds(repository, target.manifest);
    if (fault === undefined || !fault.isLoss) return fault;
    // What is missing may be, once the tag has led elsewhere or a client has deleted something of the image.
    const held = onlyTarget(watch.states);
    if (held === undefined || !this.#ledger.isPromisedWhole(repository, held)) return undefined;
    return { ...fault, expected: `${fault.expected}, which ${repository}:${name} needs` };
  }

  /** Pulls an artifact whose subject has been held since it was pushed; returns what is wrong with it. */
  async pullReferrer(referrer: ReferrerRecord): Promise<Fault | undefined> {
    if (!referrer.isListed) return undefined;
    const fault = await this.#pullListed(referrer);
    return this.#ledger.isHeld(referrer) ? fault : undefined;
  }

  async #pullListed({ tag: { repository }, target, subject }: ReferrerRecord): Promise<Fault | undefined> {
    const fault = await this.#pullManifest(repository, target.manifest);
    if (fault !== undefined) return fault;
    const answer = await this.#get('GET referrers', `${repository}/referrers/${subject.digest}`);
    if (answer.status !== 200) return unexpected(`GET referrers of ${subject.digest} in ${repository}`, answer);
    const text = new TextDecoder().decode(answer.body);
    if (text.includes(target.manifest.digest) || answer.headers.has('link')) return undefined;
    return {
      what: 'a referrer is not listed',
      request: `GET referrers of ${subject.digest} in ${repository}`,
      expected: target.manifest.digest,
      got: text.slice(0, 400),
      isLoss: false,
    };
  }

  async #pullManifest(repository: string, manifest: StormManifest): Promise<Fault | undefined> {
    const answer = await this.#get('GET manifest', `${repository}/manifests/${manifest.digest}`);
    const request = `GET manifest ${manifest.digest} in ${repository}`;
    return contentFault(request, manifest.digest, answer) ?? (await this.#pullNeeds(repository, manifest));
  }

  async #pullNeeds(repository: string, manifest: StormManifest): Promise<Fault | undefined> {
    for (const child of manifest.children) {
      const fault = await this.#pullManifest(repository, child);
      if (fault !== undefined) return fault;
    }
    const faults = await Promise.all(
      manifest.blobs.map(async ({ digest }) => {
        const answer = await this.#get('GET blob', `${repository}/blobs/${digest}`);
        return contentFault(`GET blob ${digest} in ${repository}`, digest, answer);
      }),
    );
    return faults.find((fault) => fault !== undefined);
  }

  async #get(kind: string, place: string): Promise<Answer> {
    return await this.#client.send(kind, 'GET', place, kind === 'GET blob' ? {} : { headers: accept });
  }
}

function contentFault(request: string, digest: string, answer: Answer): Fault | undefined {
  const expected = `200 and ${digest}`;
  if (answer.status === 404) {
    return { what: 'something of an image is gone', request, expected, got: textOf(answer), isLoss: true };
  }
  if (answer.status !== 200) return unexpected(request, answer);
  const got = digestOf(answer.body);
  if (got === digest) return undefined;
  return { what: 'a digest is wrong', request, expected, got, isLoss: true };
}

function unexpected(request: string, answer: Answer): Fault {
  return { what: `pull: ${answer.status}`, request, expected: '200', got: textOf(answer), isLoss: false };
}

function inWords({ states }: Watch): string {
  return states.map((state) => (state === 'absent' ? 'nothing' : state.manifest.digest)).join(' or ');
}
