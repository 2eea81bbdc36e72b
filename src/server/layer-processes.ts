import type { ObjectId } from '../blobs/store.ts';
import type { Places } from '../fsck/places.ts';
import { type LayerReader, type LayerReaders, ReaderEndedError } from '../find/layer-reader.ts';
import type { LookNews, Wanted } from '../find/look-into.ts';
import { lookNews, type LookRequest } from '../find/look-lines.ts';
import { jsonLines } from '../json-lines.ts';
import { ownProgram } from '../own-program.ts';

/** How much of what a process has said in its end is told. */
const toldCharacters = 1000;

/** Where the blobs lie: in the directory, or in the bucket if there is one. */
export type LayerPlaces = Pick<Places, 'dataDirectory' | 'bucket'>;

type Child = Bun.Subprocess<'pipe', 'pipe', 'pipe'>;

/**
 * Looks into the layers of this server by a process of its own (`wherry look-into`), so that neither decompressing nor
 * what somebody has put into a layer holds up a request. One at a time.
 */
export class LayerProcesses implements LayerReaders {
  readonly #places: LayerPlaces;
  readonly #children = new Set<Child>();
  #atWork: ProcessLayerReader | undefined;
  #isStopped = false;

  constructor(places: LayerPlaces) {
    this.#places = places;
  }

  begin(wanted: Wanted): LayerReader | undefined {
    if (this.#atWork !== undefined || this.#isStopped) return undefined;
    const { dataDirectory, bucket } = this.#places;
    // There is no secret in it: credentials are in the environment, or where that says.
    const inBucket = bucket === undefined ? [] : [`--bucket=${JSON.stringify(bucket)}`];
    const child: Child = Bun.spawn([...ownProgram(), 'look-into', `--data=${dataDirectory}`, ...inBucket], {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'pipe',
      onExit: () => {
        this.#children.delete(child);
      },
    });
    this.#children.add(child);
    const reader = new ProcessLayerReader(child, wanted, () => {
      if (this.#atWork === reader) this.#atWork = undefined;
    });
    this.#atWork = reader;
    return reader;
  }

  /** Ends the process that is at work, and begins none any more; resolves once none is. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.all([...this.#children].map(({ exited }) => exited));
  }
}

class ProcessLayerReader implements LayerReader {
  readonly #child: Child;
  readonly #answers: AsyncGenerator<unknown, void, undefined>;
  readonly #ended: () => void;

  constructor(child: Child, wanted: Wanted, ended: () => void) {
    this.#child = child;
    this.#answers = jsonLines(child.stdout);
    this.#ended = ended;
    this.#send({ wanted });
  }

  /** One answer is under way at most, so a reader that waits for nothing keeps the process waiting. */
  async *lookInto(oid: ObjectId): AsyncGenerator<LookNews, void, undefined> {
    this.#send({ oid });
    for (;;) {
      const news = await this.#answer();
      yield news;
      if (news.end !== undefined) return;
      this.#send({ more: true });
    }
  }

  end(): void {
    this.#child.kill('SIGKILL');
    this.#ended();
  }

  #send(request: LookRequest): void {
    // Where the process has ended, its answer does not come either.
    void this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    void this.#child.stdin.flush();
  }

  /** @throws ReaderEndedError where the process was ended */
  async #answer(): Promise<LookNews> {
    const { value, done } = await this.#answers.next();
    if (done !== true) return lookNews.parse(value);
    const [code, said] = await Promise.all([this.#child.exited, this.#child.stderr.text()]);
    if (this.#child.signalCode !== null) throw new ReaderEndedError('the search was broken off');
    throw new Error(`the process that looks into layers has ended with ${code}: ${said.slice(-toldCharacters)}`);
  }
}
