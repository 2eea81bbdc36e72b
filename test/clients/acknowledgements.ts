import { appendFileSync } from 'node:fs';
import { readImage } from './image-content.ts';
import { RegistryRepository, UnexpectedAnswer } from './registry-repository.ts';

const readersAtOnce = 4;

/** An image that a client was told is stored. */
export interface Acknowledged {
  readonly client: string;
  readonly repository: string;
  /** A tag that is only ever used for this image; undefined for one that was pushed by digest. */
  readonly tag: string | undefined;
  readonly digest: string;
}

/** A tag that one client moves from image to image. */
interface MovingTag {
  readonly repository: string;
  readonly tag: string;
  acknowledged: string | undefined;
  /** Where a request that was not answered may have moved it since. */
  readonly attempted: Set<string>;
}

/** The side log of what the registry has acknowledged, against which it is checked in the end. */
export class Acknowledgements {
  readonly images: Acknowledged[] = [];
  /** Images whose tags were deleted. */
  readonly deleted: Acknowledged[] = [];
  readonly #moving = new Map<string, MovingTag>();
  readonly #logFile: string;

  /** Every acknowledgement is written to `logFile` as well, a line each. */
  constructor(logFile: string) {
    this.#logFile = logFile;
  }

  pushed(image: Acknowledged): void {
    this.#write('pushed', image);
    this.images.push(image);
  }

  tagDeleted(image: Acknowledged): void {
    this.#write('deleted', image);
    this.deleted.push(image);
  }

  moving(repository: string, tag: string, digest: string): void {
    this.#movingTag(repository, tag).attempted.add(digest);
  }

  moved(repository: string, tag: string, digest: string): void {
    const moving = this.#movingTag(repository, tag);
    moving.acknowledged = digest;
    moving.attempted.clear();
  }

  /** Pulls back everything that was acknowledged and recomputes every digest; returns what is not as it should be. */
  async findLosses(origin: string): Promise<{ readonly losses: readonly string[]; readonly readBytes: number }> {
    const losses: string[] = [];
    let readBytes = 0;
    const checks = [
      ...this.images.map((image) => async (): Promise<void> => {
        readBytes += await readBack(origin, image);
      }),
      ...this.deleted.map((image) => async (): Promise<void> => {
        const status = await new RegistryRepository(origin, image.repository).status(`manifests/${image.tag}`);
        if (status !== 404)
          throw new Error(`the deleted tag ${image.repository}:${image.tag} is answered with ${status}`);
      }),
      ...this.#moving.values().map((moving) => async (): Promise<void> => {
        await checkMovingTag(origin, moving);
      }),
    ];
    const lanes = Array.from({ length: readersAtOnce }, async () => {
      for (let check = checks.pop(); check !== undefined; check = checks.pop()) {
        await check().catch((error: unknown) => losses.push(String(error)));
      }
    });
    await Promise.all(lanes);
    return { losses, readBytes };
  }

  #movingTag(repository: string, tag: string): MovingTag {
    const key = `${repository}:${tag}`;
    const moving = this.#moving.get(key) ?? { repository, tag, acknowledged: undefined, attempted: new Set<string>() };
    this.#moving.set(key, moving);
    return moving;
  }

  #write(what: 'pushed' | 'deleted', image: Acknowledged): void {
    appendFileSync(this.#logFile, `${JSON.stringify({ what, ...image })}\n`);
  }
}

/** Reads all of an acknowledged image from the registry; returns how many bytes that were. */
export async function readBack(origin: string, image: Acknowledged): Promise<number> {
  const { client, tag, digest } = image;
  const repository = new RegistryRepository(origin, image.repository);
  try {
    if (tag !== undefined) {
      const found = await repository.resolve(tag);
      if (found !== digest) throw new Error(`the tag leads to ${found}`);
    }
    const content = await readImage(repository, digest);
    return Object.values(content).reduce((sum, sizeBytes) => sum + sizeBytes, 0);
  } catch (error) {
    const message = `${image.repository}:${tag} (${digest}, acknowledged to ${client}): ${String(error)}`;
    if (error instanceof UnexpectedAnswer) throw new UnexpectedAnswer(message, error.status, '');
    throw new Error(message, { cause: error });
  }
}

async function checkMovingTag(origin: string, { repository, tag, acknowledged, attempted }: MovingTag): Promise<void> {
  if (acknowledged === undefined) return;
  const found = await new RegistryRepository(origin, repository).resolve(tag);
  if (found !== acknowledged && !attempted.has(found)) {
    throw new Error(`${repository}:${tag} was acknowledged to lead to ${acknowledged}, and leads to ${found}`);
  }
}
